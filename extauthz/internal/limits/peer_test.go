package limits_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/internal/bytesize"
)

// smallLimits can be reached by a test. Nothing ends by the clock.
var smallLimits = limits.Limits{
	InFlight: 16, InFlightBytes: 2 * bytesize.MiB, Deadline: time.Hour, CheckBytes: 64 * bytesize.KiB, Headers: 32,
	Connections: 8, StreamsPerConnection: 100, Watches: 4,
}

// fakeNetwork hands out connections that come from any address.
type fakeNetwork struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newNetwork() *fakeNetwork {
	return &fakeNetwork{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (n *fakeNetwork) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *fakeNetwork) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *fakeNetwork) Addr() net.Addr { return peerAddress("192.0.2.1") }

func peerAddress(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 40000} }

type from struct {
	net.Conn
	address net.Addr
}

func (f from) RemoteAddr() net.Addr { return f.address }

// dialFrom connects over TCP, because gRPC waits for what a peer has not read.
func (n *fakeNetwork) dialFrom(t testing.TB, ip string) net.Conn {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ours, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ours.Close() })
	select {
	case n.conns <- from{theirs, peerAddress(ip)}:
	case <-n.closed:
		t.Fatal("closed")
	}
	return ours
}

// isClosedByPeer reports whether the other side closes the connection before it sends.
func isClosedByPeer(t testing.TB, c net.Conn) bool {
	t.Helper()
	_, err := c.Read(make([]byte, 1))
	return err != nil
}

// testServer is a gRPC server within limits. A Check that has a place waits for goOn.
type testServer struct {
	*fakeNetwork
	limiter  *limits.Limiter
	listener *limits.Listener
	log      bytes.Buffer
	begun    chan string   // "admitted", "overloaded"
	goOn     chan struct{} // one for each Check that is admitted
}

const checkMethod = "/test.Checks/Check"

func startServer(t testing.TB, l limits.Limits) *testServer {
	t.Helper()
	s := &testServer{fakeNetwork: newNetwork(), begun: make(chan string, 1000), goOn: make(chan struct{})}
	s.limiter = limits.New(l, slog.New(slog.NewTextHandler(&s.log, nil)))
	s.listener = s.limiter.Listen(s.fakeNetwork, "sidecar", limits.HTTP2)
	server := grpc.NewServer(s.limiter.ServerOptions()...)
	healthpb.RegisterHealthServer(server, health.NewServer())
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Checks", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{{
		StreamName: "Check", ClientStreams: true, Handler: s.handleCheck,
	}}}, nil)
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(s.listener); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
		s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 && u.Checks == 0 && u.Watches == 0 })
		if c := s.listener.Connections(); c.Open != 0 {
			t.Errorf("after the end of all peers %d connections are open", c.Open)
		}
	})
	return s
}

func (s *testServer) handleCheck(_ any, stream grpc.ServerStream) error {
	call := limits.BeginCall(stream.Context())
	if call == nil {
		return stream.Context().Err()
	}
	defer call.End()
	if !call.HoldPlace() {
		s.begun <- "overloaded"
		return nil
	}
	s.begun <- "admitted"
	select {
	case <-s.goOn:
		return nil
	case <-stream.Context().Done():
		return stream.Context().Err()
	}
}

// http2Peer is the other side of a connection. It writes HTTP/2 frame by frame.
type http2Peer struct {
	t testing.TB
	net.Conn
	frames *http2.Framer
	block  bytes.Buffer
	hpack  *hpack.Encoder
	next   uint32
}

func (s *testServer) connectFrom(t testing.TB, ip string) *http2Peer {
	t.Helper()
	p := &http2Peer{t: t, Conn: s.dialFrom(t, ip), next: 1}
	p.frames = http2.NewFramer(p.Conn, p.Conn)
	p.hpack = hpack.NewEncoder(&p.block)
	p.requireNoError(io.WriteString(p.Conn, http2.ClientPreface))
	p.requireNoError(0, p.frames.WriteSettings())
	return p
}

func (p *http2Peer) requireNoError(_ int, err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// openStream sends the headers of a call, and more headers.
func (p *http2Peer) openStream(method string, more ...string) (stream uint32) {
	p.t.Helper()
	p.block.Reset()
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", method, ":authority", "meshpass", "content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(fields); i += 2 {
		p.requireNoError(0, p.hpack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}))
	}
	stream, p.next = p.next, p.next+2
	block := p.block.Bytes()
	part := block[:min(len(block), 16<<10)]
	p.requireNoError(0, p.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: part, EndHeaders: len(part) == len(block)}))
	for block = block[len(part):]; len(block) > 0; block = block[len(part):] {
		part = block[:min(len(block), 16<<10)]
		p.requireNoError(0, p.frames.WriteContinuation(stream, len(part) == len(block), part))
	}
	return stream
}

func (p *http2Peer) sendData(stream uint32, data []byte) {
	p.t.Helper()
	p.requireNoError(0, p.frames.WriteData(stream, false, data))
}

// sendMessage sends a complete gRPC message.
func (p *http2Peer) sendMessage(stream uint32, message []byte) {
	p.t.Helper()
	p.sendData(stream, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
}

// awaitStatus reads until a stream ends, and gives its status.
func (p *http2Peer) awaitStatus(stream uint32) string {
	p.t.Helper()
	decoder := hpack.NewDecoder(4096, nil)
	for {
		frame, err := p.frames.ReadFrame()
		if err != nil {
			p.t.Fatal(err)
		}
		if headers, ok := frame.(*http2.HeadersFrame); ok {
			fields, err := decoder.DecodeFull(headers.HeaderBlockFragment())
			if err != nil {
				p.t.Fatal(err)
			}
			if headers.StreamID != stream || !headers.StreamEnded() {
				continue
			}
			for _, field := range fields {
				if field.Name == "grpc-status" {
					return field.Value
				}
			}
		}
		if reset, ok := frame.(*http2.RSTStreamFrame); ok && reset.StreamID == stream {
			return "reset: " + reset.ErrCode.String()
		}
	}
}

// awaitUse waits until the use is as wanted: the bytes that a peer sends arrive later.
func (s *testServer) awaitUse(t testing.TB, holds func(limits.Usage) bool) limits.Usage {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for {
		used := s.limiter.Usage()
		if holds(used) {
			return used
		}
		select {
		case <-ctx.Done():
			t.Fatalf("in use is %+v", used)
		case <-time.After(time.Millisecond):
		}
	}
}

func (s *testServer) awaitConnections(t testing.TB, open int) {
	t.Helper()
	s.awaitUse(t, func(limits.Usage) bool { return s.listener.Connections().Open == open })
}

func nthAddress(i int) string { return fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250) }
