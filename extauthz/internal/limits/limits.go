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

// Default has room in 256 MiB; [Limits.MaxMemory] says how much.
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

	wireBytes atomic.Int64 // bytes that gRPC holds of all connections: see metered
	waiters   atomic.Int64 // for room

	mu          sync.Mutex
	room        chan struct{} // closed when bytes were released
	held        checkUse      // by all addresses
	watches     int
	addresses   map[netip.Addr]*peerAddress // that have a connection
	conns       map[*conn]bool
	warnShorter sync.Once // Envoy waits for less than Deadline
	messages    map[string]*messageCount
}

// checkUse is what Checks hold.
type checkUse struct {
	checks int
	bytes  int64
}

// peerAddress is one peer.
type peerAddress struct {
	shared      bool // by many peers, so it has no share of its own
	connections int  // of all listeners
	wireBytes   atomic.Int64
	held        checkUse // under the limiter's mutex
	watches     int
}

// New makes the limiter of a process.
func New(l Limits, log *slog.Logger) *Limiter {
	return &Limiter{
		Limits: l, log: log, room: make(chan struct{}),
		addresses: map[netip.Addr]*peerAddress{}, conns: map[*conn]bool{}, messages: map[string]*messageCount{},
	}
}

// halfOf of a limit is one address' share.
func halfOf[T int | int64](limit T) T { return (limit + 1) / 2 }

// holdUse takes a Check's place and bytes. It reports false, and takes nothing,
// where there is no room for them: gRPC's own bytes count too.
func (l *Limiter) holdUse(a *peerAddress, more checkUse) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := checkUse{l.held.checks + more.checks, l.held.bytes + more.bytes}
	its := checkUse{a.held.checks + more.checks, a.held.bytes + more.bytes}
	if more.checks > 0 || more.bytes > 0 {
		total := checkUse{all.checks, all.bytes + l.wireBytes.Load()}
		share := checkUse{its.checks, its.bytes + a.wireBytes.Load()}
		if total.isAbove(l.InFlight, int64(l.InFlightBytes)) || !a.shared && share.isAbove(halfOf(l.InFlight), halfOf(int64(l.InFlightBytes))) {
			return false
		}
	}
	l.held, a.held = all, its
	return true
}

func (u checkUse) isAbove(checks int, bytes int64) bool { return u.checks > checks || u.bytes > bytes }

// beginWatch takes the place of a health watch.
func (l *Limiter) beginWatch(a *peerAddress) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.watches >= l.Watches || !a.shared && a.watches >= halfOf(l.Watches) {
		return false
	}
	l.watches++
	a.watches++
	return true
}

func (l *Limiter) endWatch(a *peerAddress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watches--
	a.watches--
}

// registerConn finds the address of a connection, while it has one.
func (l *Limiter) registerConn(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c.address = l.addresses[c.ip]
	if c.address == nil {
		c.address = &peerAddress{shared: !c.ip.IsValid() || c.ip.IsLoopback()}
		l.addresses[c.ip] = c.address
	}
	c.address.connections++
	l.conns[c] = true
}

func (l *Limiter) unregisterConn(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
	if c.address.connections--; c.address.connections == 0 {
		delete(l.addresses, c.ip)
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
		Checks: l.held.checks, MaxChecks: l.InFlight,
		Bytes: l.held.bytes + l.wireBytes.Load(), MaxBytes: int64(l.InFlightBytes),
		Watches: l.watches, MaxWatches: l.Watches,
	}
}

// messageCount is a kind of message that peers can cause. Kinds are few: no peer names one.
type messageCount struct {
	since      time.Time
	logged     int
	suppressed int
}

// messagesPerSecond of one kind are logged.
const messagesPerSecond = 20

// Warn logs a message that peers can cause. Of one kind, what is too much in a
// second is left out, and the next message says how many were.
func (l *Limiter) Warn(kind, message string, args ...any) {
	suppressed, due := l.countMessage(kind, time.Now())
	if !due {
		return
	}
	if suppressed > 0 {
		args = append(args, "suppressed", suppressed)
	}
	l.log.Warn(message, args...)
}

// countMessage reports whether a message of the kind may be logged, and how many were not
// since the last one.
func (l *Limiter) countMessage(kind string, now time.Time) (suppressed int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.messages[kind]
	if q == nil {
		q = &messageCount{}
		l.messages[kind] = q
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
