package limits

import (
	"net"
	"net/netip"
	"time"
)

// SetMinPing sets the shortest time between two pings.
func SetMinPing(d time.Duration) (restore func()) {
	before := minPing
	minPing = d
	return func() { minPing = before }
}

// SetAlive sets when a quiet peer is pinged, and within which time it must answer.
func SetAlive(after, within time.Duration) (restore func()) {
	afterBefore, withinBefore := aliveAfter, aliveWithin
	aliveAfter, aliveWithin = after, within
	return func() { aliveAfter, aliveWithin = afterBefore, withinBefore }
}

// LargestHolder is the peer of the connection that would be closed at a time because an
// address, or all addresses, hold too much.
func (l *Limiter) LargestHolder(ip string, at time.Time) net.Addr {
	l.mu.Lock()
	a := l.addresses[netip.MustParseAddr(ip)]
	l.mu.Unlock()
	if c := l.findLargestHolder(a, at); c != nil {
		return c.Conn.RemoteAddr()
	}
	return nil
}

// MaxWireBytes is how many bytes gRPC may hold.
func (l *Limiter) MaxWireBytes() int64 { return l.maxWireBytes() }

// CountMessage counts a message as Warn does.
func (l *Limiter) CountMessage(kind string, now time.Time) (suppressed int, due bool) {
	return l.countMessage(kind, now)
}
