package limits

import (
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Limiter counts what peers use of the [Limits], on all listeners of a process.
type Limiter struct {
	Limits
	log *slog.Logger

	wireBytes atomic.Int64 // that gRPC holds of all connections
	waiters   atomic.Int64 // connections that wait for room

	mu        sync.Mutex
	room      chan struct{} // closed when bytes were released
	held      checkUse      // by Checks of all addresses
	watches   int
	addresses map[netip.Addr]*peerAddress // with a connection
	conns     map[*conn]bool
	messages  map[string]*messageCount // by kind
}

// checkUse is how much Checks hold.
type checkUse struct {
	checks int
	bytes  int64
}

// peerAddress is the use of one address.
type peerAddress struct {
	shared      bool // by many peers, so that it has no share of its own
	connections int  // of all listeners
	wireBytes   atomic.Int64
	held        checkUse // by Checks; under the limiter's mutex
	watches     int
}

// New makes the limiter of a process.
func New(l Limits, log *slog.Logger) *Limiter {
	return &Limiter{
		Limits: l, log: log, room: make(chan struct{}),
		addresses: map[netip.Addr]*peerAddress{}, conns: map[*conn]bool{}, messages: map[string]*messageCount{},
	}
}

// halfOf gives the share that one address has of a limit.
func halfOf[T int | int64](limit T) T { return (limit + 1) / 2 }

// holdUse takes a Check's place and bytes. If there is no room for them, it takes nothing
// and reports false. The bytes that gRPC holds count too.
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

// beginWatch takes a place for a health watch. It reports false if all are taken.
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

// registerConn counts a connection, and links it with its address.
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

// Usage is how much is in use, and how much may be.
type Usage struct {
	Checks, MaxChecks   int
	Bytes, MaxBytes     int64
	Watches, MaxWatches int
}

// Usage gives the use of all listeners.
func (l *Limiter) Usage() Usage {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Usage{
		Checks: l.held.checks, MaxChecks: l.InFlight,
		Bytes: l.held.bytes + l.wireBytes.Load(), MaxBytes: int64(l.InFlightBytes),
		Watches: l.watches, MaxWatches: l.Watches,
	}
}

// messageCount counts messages of one kind. There are few kinds: no peer can name one.
type messageCount struct {
	since      time.Time
	logged     int
	suppressed int
}

// messagesPerSecond is how many messages of one kind are logged.
const messagesPerSecond = 20

// Warn logs a message that peers can cause. Messages of one kind that are too many in a
// second are left out, and the next message has their number.
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

// countMessage counts a message of the kind. It reports whether the message may be logged,
// and how many were suppressed since the last one.
func (l *Limiter) countMessage(kind string, now time.Time) (suppressed int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	count := l.messages[kind]
	if count == nil {
		count = &messageCount{}
		l.messages[kind] = count
	}
	if now.Sub(count.since) >= time.Second {
		count.since, count.logged = now, 0
	}
	if count.logged >= messagesPerSecond {
		count.suppressed++
		return 0, false
	}
	count.logged++
	suppressed, count.suppressed = count.suppressed, 0
	return suppressed, true
}
