package drills

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

// The functions of this file serve other programs at the authorizer's address.

// serveGRPC serves the services that register adds, until the returned function is called.
func serveGRPC(t *testing.T, address string, register func(*grpc.Server), options ...grpc.ServerOption) (stop func()) {
	t.Helper()
	listener := mustGet(net.Listen("tcp", address))(t)
	server := grpc.NewServer(options...)
	register(server)
	go func() { _ = server.Serve(listener) }() // ends when stopped
	t.Cleanup(server.Stop)
	return server.Stop
}

// garbledCodec answers every call with bytes that are not a message.
type garbledCodec struct{ encoding.CodecV2 }

func (garbledCodec) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer("\xff\xff\xff")}, nil
}

// emptyAuthorizer answers every Check with an empty CheckResponse.
type emptyAuthorizer struct {
	auth.UnimplementedAuthorizationServer
}

func (emptyAuthorizer) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	return &auth.CheckResponse{}, nil
}

func registerEmpty(s *grpc.Server) { auth.RegisterAuthorizationServer(s, emptyAuthorizer{}) }

// serveTCP passes each connection to handle, and closes all of them when it is stopped.
func serveTCP(t *testing.T, address string, handle func(net.Conn)) (stop func()) {
	t.Helper()
	listener := mustGet(net.Listen("tcp", address))(t)
	var open connections
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // closed
			}
			open.add(conn)
			go handle(conn)
		}
	}()
	stop = func() {
		_ = listener.Close() // stopping twice is fine
		open.closeAll()
	}
	t.Cleanup(stop)
	return stop
}

// answerHTTP1 answers as a server that supports only HTTP/1.1.
func answerHTTP1(conn net.Conn) {
	fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	_ = conn.Close() // the peer may have been first
}

// slowWire copies bytes to and from another address, each way with its own delay.
type slowWire struct {
	to          string
	there, back time.Duration
}

func (w slowWire) carryBytes(conn net.Conn) {
	peer, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = conn.Close() // the caller sees a refused connection
		return
	}
	go copyDelayed(peer, conn, w.there)
	go copyDelayed(conn, peer, w.back)
}

// copyDelayed copies until either side ends. Each chunk is held back on its own, so the delay does
// not limit the speed.
func copyDelayed(to, from net.Conn, by time.Duration) {
	defer to.Close()
	held := make(chan func() error, 1024)
	go func() {
		defer close(held)
		for {
			chunk := make([]byte, 32<<10)
			n, err := from.Read(chunk)
			due := time.Now().Add(by)
			held <- func() error {
				<-time.After(time.Until(due))
				_, err := to.Write(chunk[:n])
				return err
			}
			if err != nil {
				return
			}
		}
	}()
	for write := range held {
		if write() != nil {
			_ = from.Close() // ends the reader
		}
	}
}
