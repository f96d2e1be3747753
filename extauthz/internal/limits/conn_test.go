package limits_test

import (
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/credentials"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
)

// nonZeroCauses gives the causes that were counted.
func nonZeroCauses(l *limits.Listener) map[string]uint64 {
	all := l.Connections().Refused
	maps.DeleteFunc(all, func(_ string, n uint64) bool { return n == 0 })
	return all
}

func requireRefused(t *testing.T, l *limits.Listener, want map[string]uint64) {
	t.Helper()
	if got := nonZeroCauses(l); !maps.Equal(got, want) {
		t.Errorf("refused: got %v, want %v", got, want)
	}
}

// One address has half of the connections.
func TestOneAddressHasHalfOfTheConnections(t *testing.T) {
	s := startServer(t, smallLimits)
	for range smallLimits.Connections / 2 {
		s.connectFrom(t, "10.0.0.1")
	}
	s.awaitConnections(t, 4)
	if c := s.dialFrom(t, "10.0.0.1"); !isClosedByPeer(t, c) {
		t.Error("a fifth connection is open")
	}
	s.connectFrom(t, "10.0.0.2")
	s.awaitConnections(t, 5)
	requireRefused(t, s.listener, map[string]uint64{limits.AddressShare: 1})
}

// A sidecar in front of us gives its address to all peers.
func TestLoopbackHasNoShare(t *testing.T) {
	s := startServer(t, smallLimits)
	for range smallLimits.Connections {
		s.connectFrom(t, "127.0.0.6")
	}
	s.awaitConnections(t, smallLimits.Connections)
	if c := s.dialFrom(t, "127.0.0.6"); !isClosedByPeer(t, c) {
		t.Error("a ninth connection is open")
	}
	requireRefused(t, s.listener, map[string]uint64{limits.LimitReached: 1})
}

// When all connections are taken, an address with many loses one to an address with few.
func TestThoseWithManyConnectionsMakeRoom(t *testing.T) {
	s := startServer(t, smallLimits)
	var many []*http2Peer
	for i := range 8 {
		many = append(many, s.connectFrom(t, nthAddress(i/4)))
	}
	s.awaitConnections(t, 8)
	busy := many[0].openStream(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Fatal(got)
	}
	few := s.connectFrom(t, "10.0.9.9")
	call := few.openStream(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Fatal(got)
	}
	close(s.goOn)
	if got := few.awaitStatus(call); got != "0" {
		t.Errorf("of the one with few: %s", got)
	}
	if got := many[0].awaitStatus(busy); got != "0" {
		t.Errorf("an idle connection goes before one with a Check: %s", got)
	}
	s.awaitConnections(t, 8)
	requireRefused(t, s.listener, map[string]uint64{limits.LimitReached: 1})
}

// No connection is closed for an address that has as many.
func TestConnectionsAreNotTakenFromEquals(t *testing.T) {
	s := startServer(t, smallLimits)
	for i := range smallLimits.Connections {
		s.connectFrom(t, nthAddress(i))
	}
	s.awaitConnections(t, smallLimits.Connections)
	if c := s.dialFrom(t, "10.0.9.9"); !isClosedByPeer(t, c) {
		t.Error("a ninth connection is open")
	}
	if got := s.listener.Connections().Open; got != smallLimits.Connections {
		t.Errorf("%d are open", got)
	}
	if log := s.log.String(); strings.Count(log, "connections near their limit") != 1 {
		t.Errorf("log: %s", log)
	}
}

// manualHandshake is a handshake that lasts until the test ends it.
type manualHandshake struct {
	credentials.TransportCredentials
	begun chan net.Conn
	end   chan error
}

func (p manualHandshake) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	p.begun <- raw
	return raw, nil, <-p.end
}

// Peers in their handshake take no connection from those that completed it: they only lose
// their own oldest attempts.
func TestHandshakesDoNotCount(t *testing.T) {
	network := newNetwork()
	l := limits.New(smallLimits, slog.New(slog.DiscardHandler)).Listen(network, "mtls", limits.HTTP2OverTLS)
	type accepted struct {
		conn net.Conn
		err  error
	}
	accept := func(ip string) net.Conn {
		t.Helper()
		result := make(chan accepted, 1)
		go func() { c, err := l.Accept(); result <- accepted{c, err} }()
		network.dialFrom(t, ip)
		got := <-result
		if got.err != nil {
			t.Fatal(got.err)
		}
		t.Cleanup(func() { _ = got.conn.Close() })
		return got.conn
	}
	honest := accept("10.0.0.1")
	var attempts []net.Conn
	for range limits.Handshakes + 10 {
		attempts = append(attempts, accept("10.0.0.66"))
	}
	requireRefused(t, l, map[string]uint64{limits.HandshakeEvicted: 11})
	for i, c := range attempts {
		if err := c.SetDeadline(noDeadline); errors.Is(err, net.ErrClosed) != (i < 11) {
			t.Errorf("attempt %d: %v", i, err)
		}
	}
	if got := l.Connections().Open; got != 0 {
		t.Errorf("%d connections count", got)
	}

	p := manualHandshake{begun: make(chan net.Conn, 1), end: make(chan error, 1)}
	handshakes := l.CountingCredentials(p)
	p.end <- nil
	if _, _, err := handshakes.ServerHandshake(honest); err != nil {
		t.Errorf("the honest one: %v", err)
	}
	<-p.begun
	p.end <- errors.New("no certificate")
	if _, _, err := handshakes.ServerHandshake(attempts[20]); err == nil {
		t.Error("no certificate, and no error")
	}
	<-p.begun
	p.end <- nil
	if _, _, err := handshakes.ServerHandshake(attempts[0]); err == nil {
		t.Error("one that was closed meanwhile counts")
	}
	if got := l.Connections().Open; got != 1 {
		t.Errorf("%d connections count", got)
	}
	requireRefused(t, l, map[string]uint64{limits.HandshakeEvicted: 11, limits.HandshakeRejected: 1})
	_ = honest.Close()
	if got := l.Connections().Open; got != 0 {
		t.Errorf("after its end %d connections count", got)
	}
}

// Credentials of one listener do not count connections of another.
func TestCredentialsOfAnotherListener(t *testing.T) {
	l := limits.New(smallLimits, nil).Listen(newNetwork(), "mtls", limits.HTTP2OverTLS)
	p := manualHandshake{begun: make(chan net.Conn, 1), end: make(chan error, 1)}
	p.end <- nil
	ours, theirs := net.Pipe()
	defer ours.Close()
	if _, _, err := l.CountingCredentials(p).ServerHandshake(theirs); err == nil {
		t.Error("no error")
	}
}

// A peer that sends its messages in tiny frames is cut off.
func TestFramesThatAreTooSmall(t *testing.T) {
	for _, row := range []struct {
		name string
		size int
		want map[string]uint64
	}{
		{"a byte each", 1, map[string]uint64{limits.SmallFrames: 1}},
		{"as usual", 100, map[string]uint64{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := smallLimits
			l.InFlightBytes *= 100
			s := startServer(t, l)
			p := s.connectFrom(t, "10.0.0.1")
			stream := p.openStream(checkMethod)
			<-s.begun
			for range 5000 {
				if p.frames.WriteData(stream, false, make([]byte, row.size)) != nil {
					break
				}
			}
			s.awaitUse(t, func(limits.Usage) bool { return maps.Equal(nonZeroCauses(s.listener), row.want) })
			if row.size > 1 {
				p.requireNoError(0, p.frames.WritePing(false, [8]byte{}))
				for {
					frame, err := p.frames.ReadFrame()
					if err != nil {
						t.Fatal(err)
					}
					if ping, ok := frame.(*http2.PingFrame); ok && ping.IsAck() {
						break
					}
				}
			}
		})
	}
}

// Probes and metrics can be reached while others hold all connections: peers with more connections, with as
// many, or programs of this machine, whose address is also that of a sidecar in front.
func TestConnectionsOfAnotherProtocol(t *testing.T) {
	for name, row := range map[string]struct {
		holder func(int) string
		probe  string
	}{
		"more":         {func(i int) string { return nthAddress(i / 2) }, "10.0.9.9"},
		"as many":      {nthAddress, "10.0.9.9"},
		"this machine": {func(int) string { return "127.0.0.1" }, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) { testProbeBesideHolders(t, row.holder, row.probe) })
	}
}

func testProbeBesideHolders(t *testing.T, holder func(int) string, prober string) {
	n := newNetwork()
	l := limits.New(limits.Limits{Connections: 4}, slog.New(slog.DiscardHandler)).Listen(n, "ops", limits.HTTP1)
	server := &http.Server{Handler: http.NotFoundHandler()}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		<-served
	})
	for i := range 4 {
		n.dialFrom(t, holder(i))
	}
	probe := n.dialFrom(t, prober)
	if _, err := io.WriteString(probe, "GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(probe); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
		t.Errorf("got %q, %v", answer, err)
	}
	requireRefused(t, l, map[string]uint64{limits.LimitReached: 1})
}
