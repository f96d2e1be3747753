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

// What may stand where the authorizer should.

// serveGRPC serves what register adds. It ends with the returned function.
func serveGRPC(t *testing.T, address string, register func(*grpc.Server), options ...grpc.ServerOption) (stop func()) {
	t.Helper()
	listener := must1(net.Listen("tcp", address))(t)
	server := grpc.NewServer(options...)
	register(server)
	go func() { _ = server.Serve(listener) }() // ends when stopped
	t.Cleanup(server.Stop)
	return server.Stop
}

// garbled answers every call with bytes that are no message.
type garbled struct{ encoding.CodecV2 }

func (garbled) Marshal(any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer("\xff\xff\xff")}, nil
}

// silent answers every Check with an empty CheckResponse.
type silent struct {
	auth.UnimplementedAuthorizationServer
}

func (silent) Check(context.Context, *auth.CheckRequest) (*auth.CheckResponse, error) {
	return &auth.CheckResponse{}, nil
}

func empty(s *grpc.Server) { auth.RegisterAuthorizationServer(s, silent{}) }

// serveTCP gives each connection to handle, and ends them all when stopped.
func serveTCP(t *testing.T, address string, handle func(net.Conn)) (stop func()) {
	t.Helper()
	listener := must1(net.Listen("tcp", address))(t)
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
		open.close()
	}
	t.Cleanup(stop)
	return stop
}

// http1 is a server that knows nothing newer.
func http1(conn net.Conn) {
	fmt.Fprint(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	_ = conn.Close() // the peer may have been first
}

// wire passes bytes on to another address, each way after its delay.
type wire struct {
	to          string
	there, back time.Duration
}

func (w wire) carry(conn net.Conn) {
	peer, err := net.Dial("tcp", w.to)
	if err != nil {
		_ = conn.Close() // refused, for the caller
		return
	}
	go delay(peer, conn, w.there)
	go delay(conn, peer, w.back)
}

// delay copies until either side ends. What is read is held back, not what is
// read after it: a delay is no limit of speed.
func delay(to, from net.Conn, by time.Duration) {
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
