package limits_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
)

var noDeadline time.Time

// One address has half of the Checks in flight. The other half stays for all others.
func TestChecksInFlight(t *testing.T) {
	s := startServer(t, smallLimits)
	first, second, third := s.connectFrom(t, "10.0.0.1"), s.connectFrom(t, "10.0.0.2"), s.connectFrom(t, "10.0.0.3")
	for i, want := range []struct {
		peer   *http2Peer
		checks int
		answer string
	}{
		{first, 8, "admitted"}, {first, 3, "overloaded"},
		{second, 8, "admitted"}, {second, 1, "overloaded"},
		{third, 2, "overloaded"},
	} {
		for range want.checks {
			want.peer.openStream(checkMethod)
			if got := <-s.begun; got != want.answer {
				t.Fatalf("%d: %s, want %s", i, got, want.answer)
			}
		}
	}
	s.goOn <- struct{}{}
	s.awaitUse(t, func(u limits.Usage) bool { return u.Checks == 15 })
	third.openStream(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Errorf("with room again: %s", got)
	}
}

// Bytes of a Check that no handler has read count, also in small frames, until the Check has
// its answer.
func TestBytesThatNobodyReads(t *testing.T) {
	for _, row := range []struct {
		name  string
		send  func(*http2Peer, uint32)
		bytes int64 // beside what a stream costs
	}{
		{"a window", func(p *http2Peer, stream uint32) {
			for range 3 {
				p.sendData(stream, make([]byte, 16<<10))
			}
		}, 3*(16<<10) + 3*64},
		{"a byte in each frame", func(p *http2Peer, stream uint32) {
			for range 1000 {
				p.sendData(stream, []byte{0})
			}
		}, 65 * 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := startServer(t, smallLimits)
			p := s.connectFrom(t, "10.0.0.1")
			stream := p.openStream(checkMethod)
			<-s.begun
			row.send(p, stream)
			used := s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes >= row.bytes+16<<10 })
			if over := used.Bytes - row.bytes - 16<<10; over > 1000 {
				t.Errorf("%d bytes more than were sent", over)
			}
			s.goOn <- struct{}{}
			if got := p.awaitStatus(stream); got != "0" {
				t.Errorf("ended with %s", got)
			}
			s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 })
		})
	}
}

// A Check does not begin if its bytes have no room. Another address has room of its own.
func TestNoRoomForBytes(t *testing.T) {
	l := smallLimits
	l.InFlight = 100
	s := startServer(t, l)
	hungry, other := s.connectFrom(t, "10.0.0.1"), s.connectFrom(t, "10.0.0.2")
	hungry.requireNoError(0, hungry.fillWith(hungry.awaitAdmitted(s, 8)))
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes > int64(smallLimits.InFlightBytes)/2 })
	hungry.openStream(checkMethod)
	if got := <-s.begun; got != "overloaded" {
		t.Errorf("the ninth: %s", got)
	}
	other.openStream(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Errorf("another address: %s", got)
	}
}

// awaitAdmitted opens a number of calls.
func (p *http2Peer) awaitAdmitted(s *testServer, calls int) (streams []uint32) {
	p.t.Helper()
	for range calls {
		streams = append(streams, p.openStream(checkMethod))
		if got := <-s.begun; got != "admitted" {
			p.t.Fatal(got)
		}
	}
	return streams
}

// fillWith sends 64 KB for each call, in frames that cost the same again.
func (p *http2Peer) fillWith(streams []uint32) error {
	for _, stream := range streams {
		for range 1000 {
			if err := p.frames.WriteData(stream, false, make([]byte, 64)); err != nil {
				return err
			}
		}
	}
	return nil
}

// A stream that its peer ended counts until its handler ends.
func TestCallsThatTheirPeerEnds(t *testing.T) {
	s := startServer(t, smallLimits)
	p := s.connectFrom(t, "10.0.0.1")
	for range 3 {
		stream := p.openStream(checkMethod)
		<-s.begun
		p.sendData(stream, make([]byte, 4<<10))
		p.requireNoError(0, p.frames.WriteRSTStream(stream, http2.ErrCodeCancel))
	}
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 && u.Checks == 0 })
}

// Nothing more is read while gRPC holds as much as it may. The connection whose peer takes no
// answers is found.
func TestNothingIsReadWithoutRoom(t *testing.T) {
	l := smallLimits
	l.InFlight, l.StreamsPerConnection = 1000, 1000
	s := startServer(t, l)
	p := s.connectFrom(t, "10.0.0.1")
	quiet := s.connectFrom(t, "10.0.0.2")
	quiet.openStream(checkMethod)
	<-s.begun
	streams := p.awaitAdmitted(s, 20)
	sent := make(chan error, 1)
	go func() { sent <- p.fillWith(streams) }() // twice what there is room for
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes > s.limiter.MaxWireBytes()/2 })
	if used, most := s.limiter.Usage().Bytes, s.limiter.MaxWireBytes()/2+64<<10; used > most {
		t.Errorf("%d bytes are held, and half of all are %d", used, most)
	}
	if got := s.limiter.LargestHolder("10.0.0.1", time.Now()); got != nil {
		t.Errorf("overdue: %v, and none is", got)
	}
	if got := s.limiter.LargestHolder("10.0.0.1", time.Now().Add(l.Deadline+time.Minute)); got == nil || got.String() != peerAddress("10.0.0.1").String() {
		t.Errorf("overdue: %v", got)
	}
	close(s.goOn) // and there is room again
	p.requireNoError(0, <-sent)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 })
}

// Health watches last as long as their peers like, so their number is small.
func TestHealthWatches(t *testing.T) {
	s := startServer(t, smallLimits)
	first, second := s.connectFrom(t, "10.0.0.1"), s.connectFrom(t, "10.0.0.2")
	watch := func(p *http2Peer) uint32 {
		stream := p.openStream(healthpb.Health_Watch_FullMethodName)
		p.sendMessage(stream, nil)
		return stream
	}
	watch(first)
	watch(first)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 2 })
	const resourceExhausted = "8"
	if got := first.awaitStatus(watch(first)); got != resourceExhausted {
		t.Errorf("a third one of one address: %s", got)
	}
	watch(second)
	watch(second)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 4 })
	third := s.connectFrom(t, "10.0.0.3")
	if got := third.awaitStatus(watch(third)); got != resourceExhausted {
		t.Errorf("a fifth one of all: %s", got)
	}
	_ = second.Close()
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 2 })
}

// All messages but those of Checks are small.
func TestHealthMessagesAreSmall(t *testing.T) {
	s := startServer(t, smallLimits)
	p := s.connectFrom(t, "10.0.0.1")
	stream := p.openStream(healthpb.Health_Check_FullMethodName)
	p.sendMessage(stream, make([]byte, 8<<10))
	if got := p.awaitStatus(stream); got != "8" {
		t.Errorf("ended with %s", got)
	}
}

// The headers of a call have room for the largest tracestate that Envoy accepts, and no more.
func TestHeadersOfACall(t *testing.T) {
	s := startServer(t, smallLimits)
	p := s.connectFrom(t, "10.0.0.1")
	large := func(size int) (more []string) {
		for size > 0 {
			more = append(more, "tracestate", strings.Repeat("t", min(size, 10<<10)))
			size -= 10 << 10
		}
		return more
	}
	open := func(size int) uint32 { return p.openStream(checkMethod, large(size)...) }
	stream := open(60 << 10)
	if got := <-s.begun; got != "admitted" {
		t.Fatal(got)
	}
	s.goOn <- struct{}{}
	if got := p.awaitStatus(stream); got != "0" {
		t.Errorf("60 KiB: %s", got)
	}
	if got := p.awaitStatus(open(limits.MaxHeaderList)); !strings.HasPrefix(got, "reset") {
		t.Errorf("80 KiB: %s", got)
	}
}

// Envoy's connection_keepalive sends pings on a quiet connection too.
func TestPingsOnAQuietConnection(t *testing.T) {
	t.Cleanup(limits.SetMinPing(time.Nanosecond))
	s := startServer(t, smallLimits)
	p := s.connectFrom(t, "10.0.0.1")
	for i := range byte(10) {
		p.requireNoError(0, p.frames.WritePing(false, [8]byte{i}))
		for answered := false; !answered; {
			frame, err := p.frames.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			switch frame := frame.(type) {
			case *http2.GoAwayFrame:
				t.Fatalf("after %d pings: %v %s", i, frame.ErrCode, frame.DebugData())
			case *http2.PingFrame:
				answered = frame.IsAck() && frame.Data == [8]byte{i}
			}
		}
	}
}

// A peer whose machine vanishes closes nothing. Its connection is closed when it does not answer a ping, and frees its place;
// a quiet peer that answers keeps its own.
func TestPeersThatAreGone(t *testing.T) {
	t.Cleanup(limits.SetAlive(time.Second, 5*time.Second)) // gRPC pings no sooner
	s := startServer(t, smallLimits)
	quiet, gone := s.connectFrom(t, "10.0.0.1"), s.connectFrom(t, "10.0.0.2")
	s.awaitConnections(t, 2)
	pings := make(chan error, 1)
	go func() { pings <- quiet.answerPings() }()
	for err := error(nil); err == nil; {
		_, err = gone.frames.ReadFrame() // among them the ping
	}
	s.awaitConnections(t, 1)
	select {
	case err := <-pings:
		t.Errorf("a quiet peer that answers pings is closed: %v", err)
	default:
	}
	_ = quiet.Close() // ends answerPings
	<-pings
}

// answerPings returns when the connection ends.
func (p *http2Peer) answerPings() error {
	for {
		frame, err := p.frames.ReadFrame()
		if err != nil {
			return err
		}
		if ping, ok := frame.(*http2.PingFrame); ok && !ping.IsAck() {
			if err := p.frames.WritePing(true, ping.Data); err != nil {
				return err
			}
		}
	}
}

// The number of log lines that peers can cause is bounded too.
func TestMessagesOfTheLogAreFew(t *testing.T) {
	l := limits.New(smallLimits, nil)
	start := time.Now()
	logged := 0
	for range 1000 {
		if _, due := l.CountMessage("overloaded", start); due {
			logged++
		}
	}
	if logged != 20 {
		t.Errorf("%d of 1000 in a second", logged)
	}
	if _, due := l.CountMessage("another", start); !due {
		t.Error("another kind is left out")
	}
	if suppressed, due := l.CountMessage("overloaded", start.Add(time.Second)); !due || suppressed != 980 {
		t.Errorf("a second later: %v, %d suppressed", due, suppressed)
	}
}

// The deadline of a Check is the shorter of ours and Envoy's.
func TestDeadlines(t *testing.T) {
	for _, row := range []struct {
		name    string
		limit   time.Duration
		headers []string
	}{
		{"ours", time.Millisecond, nil},
		{"Envoy's", time.Hour, []string{"x-envoy-expected-rq-timeout-ms", "1"}},
		{"ours, and Envoy's is longer", time.Millisecond, []string{"x-envoy-expected-rq-timeout-ms", "3600000"}},
		{"ours, and Envoy's is no number", time.Millisecond, []string{"x-envoy-expected-rq-timeout-ms", "soon"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := smallLimits
			l.Deadline = row.limit
			s := startServer(t, l)
			p := s.connectFrom(t, "10.0.0.1")
			stream := p.openStream(checkMethod, row.headers...)
			const deadlineExceeded = "4"
			if got := p.awaitStatus(stream); got != deadlineExceeded {
				t.Errorf("ended with %s", got)
			}
			if warned := strings.Contains(s.log.String(), "Envoy waits for less"); warned != (row.limit == time.Hour) {
				t.Errorf("log: %s", &s.log)
			}
		})
	}
}

// A timeout of Envoy below the deadline is logged once for each listener and value, and for eight values.
func TestShortTimeoutsAreLoggedOnce(t *testing.T) {
	l := smallLimits
	l.Deadline, l.Connections = time.Hour, 100
	s := startServer(t, l)
	for i := range 12 {
		for range 2 {
			p := s.connectFrom(t, "127.0.0.6")
			p.awaitStatus(p.openStream(checkMethod, "x-envoy-expected-rq-timeout-ms", strconv.Itoa(12-i)))
		}
	}
	if got := strings.Count(s.log.String(), "Envoy waits for less"); got != 8 {
		t.Errorf("%d lines: %s", got, &s.log)
	}
	if got := s.listener.Connections().ShortestTimeout; got != time.Millisecond {
		t.Errorf("shortest: %s", got)
	}
}

// The shortest timeout of Envoy is also known if it is above the deadline.
func TestTheShortestTimeoutIsKnown(t *testing.T) {
	l := smallLimits
	l.Deadline = 30 * time.Second
	s := startServer(t, l)
	close(s.goOn)
	for _, row := range []struct {
		header string
		want   time.Duration
	}{{"soon", 0}, {"0", 0}, {"3600000", time.Hour}, {"60000", time.Minute}, {"120000", time.Minute}} {
		p := s.connectFrom(t, "127.0.0.6")
		p.awaitStatus(p.openStream(checkMethod, "x-envoy-expected-rq-timeout-ms", row.header))
		if got := s.listener.Connections().ShortestTimeout; got != row.want {
			t.Errorf("after %s: %s, want %s", row.header, got, row.want)
		}
	}
	if log := s.log.String(); strings.Count(log, "Envoy waits for less") != 1 || !strings.Contains(log, "envoy=0s") {
		t.Errorf("log: %s", &s.log)
	}
}

// The defaults are those of docs/configuration.md.
func TestDefaults(t *testing.T) {
	want := limits.Limits{
		InFlight: 1024, InFlightBytes: 32 << 20, Deadline: 200 * time.Millisecond, CheckBytes: 1 << 20, Headers: 200,
		Connections: 1000, StreamsPerConnection: 250, Watches: 100,
	}
	if limits.Default != want {
		t.Errorf("got %+v", limits.Default)
	}
}
