package sotw

import (
	"context"
	"log/slog"
	"net"

	"google.golang.org/grpc"
)

// Server is a running discovery server.
type Server struct {
	grpc *grpc.Server
	done chan struct{}
}

// Listen serves on addr, in plaintext, until ctx ends or Stop is called.
func Listen(ctx context.Context, addr string, register func(*grpc.Server), log *slog.Logger) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &Server{grpc: grpc.NewServer(), done: make(chan struct{})}
	register(s.grpc)
	go func() {
		defer close(s.done)
		if err := s.grpc.Serve(listener); err != nil {
			log.Error("discovery server failed", "address", addr, "error", err)
		}
	}()
	context.AfterFunc(ctx, s.grpc.Stop)
	return s, nil
}

// Stop closes all streams, and returns when the address is free again. Envoys keep their
// configuration.
func (s *Server) Stop() {
	s.grpc.Stop()
	<-s.done
}
