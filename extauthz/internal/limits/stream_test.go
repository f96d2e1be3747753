package limits_test

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/limits"
)

var noDeadline time.Time

// Of the Checks in flight, one address has half; all others still have theirs.
func TestChecksInFlight(t *testing.T) {
	s := serve(t, small)
	first, second, third := s.connect(t, "10.0.0.1"), s.connect(t, "10.0.0.2"), s.connect(t, "10.0.0.3")
	for i, want := range []struct {
		peer   *peer
		checks int
		answer string
	}{
		{first, 8, "admitted"}, {first, 3, "overloaded"},
		{second, 8, "admitted"}, {second, 1, "overloaded"},
		{third, 2, "overloaded"},
	} {
		for range want.checks {
			want.peer.open(checkMethod)
			if got := <-s.begun; got != want.answer {
				t.Fatalf("%d: %s, want %s", i, got, want.answer)
			}
		}
	}
	s.goOn <- struct{}{}
	s.awaitUse(t, func(u limits.Usage) bool { return u.Checks == 15 })
	third.open(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Errorf("with room again: %s", got)
	}
}

// What a peer sends for a Check that nobody has read yet counts, however small its
// frames are, until the Check has its answer.
func TestBytesThatNobodyReads(t *testing.T) {
	for _, row := range []struct {
		name  string
		send  func(*peer, uint32)
		bytes int64 // beside what a stream costs
	}{
		{"a window", func(p *peer, stream uint32) {
			for range 3 {
				p.send(stream, make([]byte, 16<<10))
			}
		}, 3*(16<<10) + 3*64},
		{"a byte in each frame", func(p *peer, stream uint32) {
			for range 1000 {
				p.send(stream, []byte{0})
			}
		}, 65 * 1000},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := serve(t, small)
			p := s.connect(t, "10.0.0.1")
			stream := p.open(checkMethod)
			<-s.begun
			row.send(p, stream)
			used := s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes >= row.bytes+16<<10 })
			if over := used.Bytes - row.bytes - 16<<10; over > 1000 {
				t.Errorf("%d bytes more than were sent", over)
			}
			s.goOn <- struct{}{}
			if got := p.ended(stream); got != "0" {
				t.Errorf("ended with %s", got)
			}
			s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 })
		})
	}
}

// A Check is not begun where bytes leave no room; another address has its own.
func TestNoRoomForBytes(t *testing.T) {
	l := small
	l.InFlight = 100
	s := serve(t, l)
	hungry, other := s.connect(t, "10.0.0.1"), s.connect(t, "10.0.0.2")
	hungry.must(0, hungry.fill(hungry.admitted(s, 8)))
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes > int64(small.InFlightBytes)/2 })
	hungry.open(checkMethod)
	if got := <-s.begun; got != "overloaded" {
		t.Errorf("the ninth: %s", got)
	}
	other.open(checkMethod)
	if got := <-s.begun; got != "admitted" {
		t.Errorf("another address: %s", got)
	}
}

// admitted opens so many calls.
func (p *peer) admitted(s *server, calls int) (streams []uint32) {
	p.t.Helper()
	for range calls {
		streams = append(streams, p.open(checkMethod))
		if got := <-s.begun; got != "admitted" {
			p.t.Fatal(got)
		}
	}
	return streams
}

// fill sends 64 KB for each call, in frames that cost as much again.
func (p *peer) fill(streams []uint32) error {
	for _, stream := range streams {
		for range 1000 {
			if err := p.frames.WriteData(stream, false, make([]byte, 64)); err != nil {
				return err
			}
		}
	}
	return nil
}

// What is ended by its peer counts until its handler ends.
func TestCallsThatTheirPeerEnds(t *testing.T) {
	s := serve(t, small)
	p := s.connect(t, "10.0.0.1")
	for range 3 {
		stream := p.open(checkMethod)
		<-s.begun
		p.send(stream, make([]byte, 4<<10))
		p.must(0, p.frames.WriteRSTStream(stream, http2.ErrCodeCancel))
	}
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 && u.Checks == 0 })
}

// Nothing more is read while gRPC holds as much as it may, and the connection whose
// peer takes no answers is found.
func TestNothingIsReadWithoutRoom(t *testing.T) {
	l := small
	l.InFlight, l.StreamsPerConnection = 1000, 1000
	s := serve(t, l)
	p := s.connect(t, "10.0.0.1")
	quiet := s.connect(t, "10.0.0.2")
	quiet.open(checkMethod)
	<-s.begun
	streams := p.admitted(s, 20)
	sent := make(chan error, 1)
	go func() { sent <- p.fill(streams) }() // twice what there is room for
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
	p.must(0, <-sent)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Bytes == 0 })
}

// Health watches last as long as their peers like, so that they are few.
func TestHealthWatches(t *testing.T) {
	s := serve(t, small)
	first, second := s.connect(t, "10.0.0.1"), s.connect(t, "10.0.0.2")
	watch := func(p *peer) uint32 {
		stream := p.open(healthpb.Health_Watch_FullMethodName)
		p.message(stream, nil)
		return stream
	}
	watch(first)
	watch(first)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 2 })
	const resourceExhausted = "8"
	if got := first.ended(watch(first)); got != resourceExhausted {
		t.Errorf("a third one of one address: %s", got)
	}
	watch(second)
	watch(second)
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 4 })
	third := s.connect(t, "10.0.0.3")
	if got := third.ended(watch(third)); got != resourceExhausted {
		t.Errorf("a fifth one of all: %s", got)
	}
	_ = second.Close()
	s.awaitUse(t, func(u limits.Usage) bool { return u.Watches == 2 })
}

// Everything but a Check's message is small.
func TestHealthMessagesAreSmall(t *testing.T) {
	s := serve(t, small)
	p := s.connect(t, "10.0.0.1")
	stream := p.open(healthpb.Health_Check_FullMethodName)
	p.message(stream, make([]byte, 8<<10))
	if got := p.ended(stream); got != "8" {
		t.Errorf("ended with %s", got)
	}
}

// The headers of a call have room for a tracestate as large as Envoy takes of a
// request, and no more.
func TestHeadersOfACall(t *testing.T) {
	s := serve(t, small)
	p := s.connect(t, "10.0.0.1")
	large := func(size int) (more []string) {
		for size > 0 {
			more = append(more, "tracestate", strings.Repeat("t", min(size, 10<<10)))
			size -= 10 << 10
		}
		return more
	}
	open := func(size int) uint32 { return p.open(checkMethod, large(size)...) }
	stream := open(60 << 10)
	if got := <-s.begun; got != "admitted" {
		t.Fatal(got)
	}
	s.goOn <- struct{}{}
	if got := p.ended(stream); got != "0" {
		t.Errorf("60 KiB: %s", got)
	}
	if got := p.ended(open(limits.MaxHeaderList)); !strings.HasPrefix(got, "reset") {
		t.Errorf("80 KiB: %s", got)
	}
}

// Envoy's connection_keepalive asks on a quiet connection too.
func TestPingsOnAQuietConnection(t *testing.T) {
	t.Cleanup(limits.SetMinPing(time.Nanosecond))
	s := serve(t, small)
	p := s.connect(t, "10.0.0.1")
	for i := range byte(10) {
		p.must(0, p.frames.WritePing(false, [8]byte{i}))
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

// The part of messages that peers cause is bounded too.
func TestMessagesOfTheLogAreFew(t *testing.T) {
	l := limits.New(small, nil)
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
			l := small
			l.Deadline = row.limit
			s := serve(t, l)
			p := s.connect(t, "10.0.0.1")
			stream := p.open(checkMethod, row.headers...)
			const deadlineExceeded = "4"
			if got := p.ended(stream); got != deadlineExceeded {
				t.Errorf("ended with %s", got)
			}
			if warned := strings.Contains(s.log.String(), "Envoy waits for less"); warned != (row.limit == time.Hour) {
				t.Errorf("log: %s", &s.log)
			}
		})
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
