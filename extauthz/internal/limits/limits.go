// Package limits bounds what the process spends on the peers of its gRPC
// listeners, whatever they send: connections, handshakes, streams, bytes of
// messages, time and health watches.
//
// Two things end differently on purpose. A peer that may not ask, or that has
// more connections than it may have, is cut off. A Check that does not fit is
// still answered: Envoy's failOpen lets a request in when its Check fails, and
// what fills a Check is written by the request's sender.
//
// Every limit holds for all peers together, and half of it for one address.
// Addresses are counted and SPIFFE IDs are not: all replicas of a workload, and
// all workers of an Envoy, have one ID. Loopback addresses have no share of their
// own, because a sidecar in front of the process gives its address to everybody.
package limits

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
)

// Limits are what all listeners of a process may use together, unless it says
// otherwise. The zero value admits nothing.
type Limits struct {
	InFlight             int           // Checks that are received or decided at one time
	InFlightBytes        bytesize.Size // of their messages
	Deadline             time.Duration // for one Check, from its headers to its answer
	CheckBytes           bytesize.Size // of one Check
	Headers              int           // header fields in one Check
	Connections          int           // of each listener
	StreamsPerConnection int
	Watches              int // grpc.health.v1 Watch
}

// Default has room in 256 MiB; [Limits.Memory] says how much.
var Default = Limits{
	InFlight:             1024,
	InFlightBytes:        32 * bytesize.MiB,
	Deadline:             200 * time.Millisecond,
	CheckBytes:           bytesize.MiB,
	Headers:              200,
	Connections:          1000,
	StreamsPerConnection: 250,
	Watches:              100,
}

// Fixed bounds.
const (
	// Handshakes is how many connections of a listener may be in their TLS
	// handshake. With one more, the oldest of the address that has most is closed:
	// an honest handshake takes milliseconds.
	Handshakes = 128

	// HandshakeTime ends a connection that has not finished TLS and HTTP/2's
	// preface.
	HandshakeTime = 5 * time.Second

	// MaxHeaderList bounds the headers of a gRPC call (RFC 9113 section 6.5.2).
	// Envoy copies the tracestate of the request into them, so that this is above
	// Envoy's own bound for the headers of a request (max_request_headers_kb, 60).
	MaxHeaderList = 80 << 10

	// window is what HTTP/2 lets a peer send before the Check's handler reads
	// (RFC 9113 section 6.9.2); gRPC has no smaller one.
	window = 64 << 10

	// writeTime ends a connection whose peer does not take its answers.
	writeTime = 10 * time.Second

	// kernelBuffer is what a socket may hold in each direction.
	kernelBuffer = 32 << 10

	// aliveAfter and aliveWithin find peers that went away without a word.
	aliveAfter  = time.Minute
	aliveWithin = 20 * time.Second
)

// minPing is how often a peer may ask whether we are alive, with no Check open too:
// Envoy's connection_keepalive.
var minPing = 5 * time.Second

// Limiter counts for all listeners of a process.
type Limiter struct {
	Limits
	log *slog.Logger

	wire    atomic.Int64 // bytes that gRPC holds of all connections: see metered
	waiters atomic.Int64 // for room

	mu        sync.Mutex
	room      chan struct{} // closed when bytes were released
	used      use           // by all addresses
	watches   int
	addresses map[netip.Addr]*address // that have a connection
	conns     map[*conn]bool
	shorter   sync.Once // Envoy waits for less than Deadline
	quiet     map[string]*quiet
}

// use is what Checks hold.
type use struct {
	checks int
	bytes  int64
}

// address is one peer.
type address struct {
	shared      bool // by many peers, so it has no share of its own
	connections int  // of all listeners
	wire        atomic.Int64
	used        use // under the limiter's mutex
	watches     int
}

// New makes the limiter of a process.
func New(l Limits, log *slog.Logger) *Limiter {
	return &Limiter{
		Limits: l, log: log, room: make(chan struct{}),
		addresses: map[netip.Addr]*address{}, conns: map[*conn]bool{}, quiet: map[string]*quiet{},
	}
}

// half of a limit is one address' share.
func half[T int | int64](limit T) T { return (limit + 1) / 2 }

// hold takes a Check's place and bytes. It reports false, and takes nothing,
// where there is no room for them: gRPC's own bytes count too.
func (l *Limiter) hold(a *address, more use) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := use{l.used.checks + more.checks, l.used.bytes + more.bytes}
	its := use{a.used.checks + more.checks, a.used.bytes + more.bytes}
	if more.checks > 0 || more.bytes > 0 {
		total := use{all.checks, all.bytes + l.wire.Load()}
		share := use{its.checks, its.bytes + a.wire.Load()}
		if total.exceeds(l.InFlight, int64(l.InFlightBytes)) || !a.shared && share.exceeds(half(l.InFlight), half(int64(l.InFlightBytes))) {
			return false
		}
	}
	l.used, a.used = all, its
	return true
}

func (u use) exceeds(checks int, bytes int64) bool { return u.checks > checks || u.bytes > bytes }

// watch takes the place of a health watch.
func (l *Limiter) watch(a *address) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watches >= l.Watches || !a.shared && a.watches >= half(l.Watches) {
		return false
	}
	l.watches++
	a.watches++
	return true
}

func (l *Limiter) unwatch(a *address) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watches--
	a.watches--
}

// join finds the address of a connection, while it has one.
func (l *Limiter) join(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.address = l.addresses[c.at]
	if c.address == nil {
		c.address = &address{shared: !c.at.IsValid() || c.at.IsLoopback()}
		l.addresses[c.at] = c.address
	}
	c.address.connections++
	l.conns[c] = true
}

func (l *Limiter) leave(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if c.address.connections--; c.address.connections == 0 {
		delete(l.addresses, c.at)
	}
}

// Usage is what is in use, and how much of it there may be.
type Usage struct {
	Checks, MaxChecks   int
	Bytes, MaxBytes     int64
	Watches, MaxWatches int
}

// Usage of all listeners.
func (l *Limiter) Usage() Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Usage{
		Checks: l.used.checks, MaxChecks: l.InFlight,
		Bytes: l.used.bytes + l.wire.Load(), MaxBytes: int64(l.InFlightBytes),
		Watches: l.watches, MaxWatches: l.Watches,
	}
}

// quiet is a kind of message that peers can cause. Kinds are few: no peer names one.
type quiet struct {
	since      time.Time
	logged     int
	suppressed int
}

// messagesPerSecond of one kind are logged.
const messagesPerSecond = 20

// Warn logs a message that peers can cause. Of one kind, what is too much in a
// second is left out, and the next message says how many were.
func (l *Limiter) Warn(kind, message string, args ...any) {
	suppressed, due := l.due(kind, time.Now())
	if !due {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Warn(message, args...)
}

// due reports whether a message of the kind may be logged, and how many were not
// since the last one.
func (l *Limiter) due(kind string, now time.Time) (suppressed int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.quiet[kind]
	if q == nil {
		q = &quiet{}
		l.quiet[kind] = q
	}
	if now.Sub(q.since) >= time.Second {
		q.since, q.logged = now, 0
	}
	if q.logged >= messagesPerSecond {
		q.suppressed++
		return 0, false
	}
	q.logged++
	suppressed, q.suppressed = q.suppressed, 0
	return suppressed, true
}
