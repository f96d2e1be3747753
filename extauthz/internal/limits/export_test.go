package limits

import (
	"net"
	"net/netip"
	"time"
)

// MinPing lets a test ping as often as it likes.
func MinPing(d time.Duration) (restore func()) {
	before := minPing
	minPing = d
	return func() { minPing = before }
}

// Overdue is the connection that would be closed at a time because an address, or all,
// hold too much.
func (l *Limiter) Overdue(ip string, at time.Time) net.Addr {
	l.mu.Lock()
	a := l.addresses[netip.MustParseAddr(ip)]
	l.mu.Unlock()
	if c := l.findLargestHolder(a, at); c != nil {
		return c.Conn.RemoteAddr()
	}
	return nil
}

// MostWire is how many bytes gRPC may hold.
func (l *Limiter) MostWire() int64 { return l.maxWireBytes() }

// Due is what Warn asks.
func (l *Limiter) Due(kind string, now time.Time) (suppressed int, due bool) {
	return l.countMessage(kind, now)
}
