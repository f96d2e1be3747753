package limits

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
)

// Why a connection is closed: the values of the metric's label cause.
const (
	LimitReached      = "connections" // limits.connections is reached
	AddressShare      = "address"     // one address has half of limits.connections
	HandshakeEvicted  = "handshakes"  // too many connections are in their handshake
	HandshakeRejected = "tls"         // no certificate, or one of a peer that may not ask
	Stalled           = "stalled"     // the peer does not take its answers, so that they hold memory
	SmallFrames       = "frames"      // the peer sends its messages in tiny frames, and each one costs time
)

// Causes lists all causes.
func Causes() []string {
	return []string{LimitReached, AddressShare, HandshakeEvicted, HandshakeRejected, Stalled, SmallFrames}
}

// nearFullPart is the part of limits.connections at which a warning is logged.
const nearFullPart = 0.8

// Listener accepts the connections of one listener.
type Listener struct {
	net.Listener
	limiter  *Limiter
	name     string
	protocol Protocol

	mu        sync.Mutex
	pending   []*conn                // in their handshake, oldest first
	open      int                    // connections that count against the limit
	byAddress map[netip.Addr][]*conn // that count against the limit, oldest first
	refused   map[string]uint64
	nearFull  bool                   // the limit is near, and a warning was logged
	timeouts  map[time.Duration]bool // of Envoy, below the deadline

	shortest atomic.Int64 // nanoseconds that Envoy waits for a Check; 0: no Check had a timeout
}

// maxTimeouts bounds the timeouts that are logged for a listener: a peer can write any number.
const maxTimeouts = 8

// noteTimeout reports whether this is the first Check of the listener for which Envoy waits for this time,
// which is below the deadline. It is false from the ninth value on.
func (l *Listener) noteTimeout(waits time.Duration) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.timeouts[waits] || len(l.timeouts) >= maxTimeouts {
		return false
	}
	if l.timeouts == nil {
		l.timeouts = map[time.Duration]bool{}
	}
	l.timeouts[waits] = true
	return true
}

// noteShortest keeps the shortest time that Envoy waits for a Check.
func (l *Listener) noteShortest(waits time.Duration) {
	for {
		shortest := l.shortest.Load()
		if shortest > 0 && int64(waits) >= shortest || waits <= 0 || l.shortest.CompareAndSwap(shortest, int64(waits)) {
			return
		}
	}
}

// Protocol is the protocol of a listener's connections.
type Protocol int

// A connection of HTTP2OverTLS counts against [Limits.Connections] from the end of its
// handshake on: see [Listener.CountingCredentials].
const (
	HTTP1 Protocol = iota
	HTTP2
	HTTP2OverTLS
)

// Listen makes a listener whose connections are bounded.
func (l *Limiter) Listen(inner net.Listener, name string, speaks Protocol) *Listener {
	return &Listener{Listener: inner, limiter: l, name: name, protocol: speaks, byAddress: map[netip.Addr][]*conn{}, refused: map[string]uint64{}}
}

// Accept closes a connection that does not fit at once, before it costs a handshake.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.newConn(raw)
		switch {
		case !l.admitConn(c):
			_ = c.Close() // nothing is open on it
		case l.protocol == HTTP2:
			return meterConn(c, c), nil
		default: // TLS is metered after the handshake, and HTTP/1 has no frames
			return c, nil
		}
	}
}

func (l *Listener) admitConn(c *conn) bool {
	evicted, refused := l.assignPlace(c)
	l.closeEvicted(evicted)
	l.warnNearFull()
	if refused != "" {
		l.warnRefused(refused, c)
	}
	return refused == ""
}

// assignPlace gives the connection a place: with TLS one among those in their handshake.
func (l *Listener) assignPlace(c *conn) (evicted *conn, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.protocol != HTTP2OverTLS {
		return l.countConn(c)
	}
	if l.hasFullShare(c) { // it would be closed after its handshake
		l.refused[AddressShare]++
		return nil, AddressShare
	}
	if len(l.pending) >= Handshakes {
		evicted = l.findPendingToEvict()
		evicted.cause = HandshakeEvicted
		l.releasePlace(evicted)
		l.refused[HandshakeEvicted]++
	}
	l.pending, c.state = append(l.pending, c), connPending
	return evicted, ""
}

// promotePending counts a connection whose handshake has succeeded.
func (l *Listener) promotePending(c *conn) (evicted *conn, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state == connGone {
		return nil, HandshakeEvicted
	}
	l.releasePlace(c)
	return l.countConn(c)
}

// countConn finds a place for a connection among those that count. If all are taken, the
// address with most connections loses one, provided that it has at least two more than
// the address of this one: a peer with many connections cannot keep out one with few. A request of
// HTTP/1 is short, so there the oldest connection ends in any case: connections that nobody closes
// cannot keep out a probe, even one of the same address.
func (l *Listener) countConn(c *conn) (evicted *conn, refused string) {
	its := len(l.byAddress[c.ip])
	if l.hasFullShare(c) {
		l.refused[AddressShare]++
		return nil, AddressShare
	}
	if l.open >= l.limiter.Connections {
		l.refused[LimitReached]++
		evicted = l.findCountedToEvict()
		if evicted == nil || l.protocol != HTTP1 && len(l.byAddress[evicted.ip]) < its+2 {
			return nil, LimitReached
		}
		evicted.cause = LimitReached
		l.releasePlace(evicted)
	}
	c.state = connCounted
	l.open++
	l.byAddress[c.ip] = append(l.byAddress[c.ip], c)
	return evicted, ""
}

// warnNearFull logs that the limit is near, once until it is no longer near.
func (l *Listener) warnNearFull() {
	l.mu.Lock()
	open, was := l.open, l.nearFull
	l.nearFull = float64(open) >= nearFullPart*float64(l.limiter.Connections)
	now := l.nearFull
	l.mu.Unlock()
	if now && !was {
		l.limiter.log.Warn("connections near their limit", "listener", l.name, "connections", open, "limit", l.limiter.Connections)
	}
}

// hasFullShare reports whether the peer has all connections that one address may have.
func (l *Listener) hasFullShare(c *conn) bool {
	return !c.address.shared && len(l.byAddress[c.ip]) >= halfOf(l.limiter.Connections)
}

// findCountedToEvict finds a connection of the address that has most: the oldest without
// a stream, or else the oldest.
func (l *Listener) findCountedToEvict() *conn {
	var most []*conn
	for _, all := range l.byAddress {
		if len(all) > len(most) {
			most = all
		}
	}
	for _, c := range most {
		if c.streams.Load() == 0 {
			return c
		}
	}
	if len(most) == 0 {
		return nil
	}
	return most[0]
}

// findPendingToEvict finds the oldest connection in its handshake of the address that has
// most of them.
func (l *Listener) findPendingToEvict() *conn {
	each := map[netip.Addr]int{}
	most := l.pending[0]
	for _, c := range l.pending {
		if each[c.ip]++; each[c.ip] > each[most.ip] {
			most = c
		}
	}
	return l.pending[slices.IndexFunc(l.pending, func(c *conn) bool { return c.ip == most.ip })]
}

// releasePlace frees the place of a connection, in its handshake or counted.
func (l *Listener) releasePlace(c *conn) {
	isIt := func(other *conn) bool { return other == c }
	switch c.state {
	case connPending:
		l.pending = slices.DeleteFunc(l.pending, isIt)
	case connCounted:
		l.open--
		if l.byAddress[c.ip] = slices.DeleteFunc(l.byAddress[c.ip], isIt); len(l.byAddress[c.ip]) == 0 {
			delete(l.byAddress, c.ip)
		}
	case connGone: // it has no place
	}
	c.state = connGone
}

// closeEvicted closes the connection that lost its place, if one did.
func (l *Listener) closeEvicted(evicted *conn) {
	if evicted == nil {
		return
	}
	l.warnRefused(evicted.cause, evicted)
	_ = evicted.Close() // its peer may have closed it meanwhile
}

func (l *Listener) countRefused(cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[cause]++
}

func (l *Listener) warnRefused(cause string, c *conn) {
	l.limiter.Warn("connection "+cause, "connection refused", "listener", l.name, "cause", cause, "client", c.RemoteAddr().String())
}

// Deadline is that of a Check; 0: the listener gets no Checks.
func (l *Listener) Deadline() time.Duration { return l.limiter.Deadline }

// Connections are the connections of one listener.
type Connections struct {
	Listener string
	Open     int
	Max      int
	Refused  map[string]uint64 // by cause, from [Causes]

	ShortestTimeout time.Duration // that Envoy waited for a Check; 0: no Check had a timeout
}

// Connections gives the open connections, and how many were refused since the start.
func (l *Listener) Connections() Connections {
	l.mu.Lock()
	defer l.mu.Unlock()
	refused := map[string]uint64{}
	for _, cause := range Causes() {
		refused[cause] = l.refused[cause]
	}
	return Connections{
		Listener: l.name, Open: l.open, Max: l.limiter.Connections, Refused: refused, ShortestTimeout: time.Duration(l.shortest.Load()),
	}
}

// CountingCredentials count a connection of this listener from the end of its handshake
// on: before that it is not known whether its peer may ask.
func (l *Listener) CountingCredentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return countingCredentials{inner, l}
}

type countingCredentials struct {
	credentials.TransportCredentials
	listener *Listener
}

func (p countingCredentials) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := p.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // not a probe that ended, or a connection that was closed here
			p.listener.countRefused(HandshakeRejected)
		}
		return secured, info, err
	}
	c, ok := raw.(*conn)
	if !ok || c.listener != p.listener {
		return nil, nil, errors.New("limits: the connection is not one that this listener accepted")
	}
	evicted, refused := p.listener.promotePending(c)
	p.listener.closeEvicted(evicted)
	p.listener.warnNearFull()
	if refused != "" {
		p.listener.warnRefused(refused, c)
		return nil, nil, fmt.Errorf("limits: connection refused: %s", refused)
	}
	return meterConn(secured, c), info, nil
}

func (p countingCredentials) Clone() credentials.TransportCredentials {
	return countingCredentials{p.TransportCredentials.Clone(), p.listener}
}

type connState int

const (
	connGone connState = iota
	connPending
	connCounted
)

// conn is a connection that its listener counts.
type conn struct {
	net.Conn
	listener       *Listener
	ip             netip.Addr
	address        *peerAddress
	streams        atomic.Int64 // whose handlers have not ended
	metered        atomic.Pointer[meteredConn]
	state          connState // under the listener's mutex
	cause          string    // why it lost its place, from Causes
	done           chan struct{}
	unregisterOnce sync.Once
}

// remoteAddr is the address of a peer with its connection. gRPC hands it to each call.
type remoteAddr struct {
	net.Addr
	conn *conn
}

func (l *Listener) newConn(raw net.Conn) *conn {
	c := &conn{Conn: raw, listener: l, done: make(chan struct{})}
	if tcp, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.ip = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if tcp, ok := raw.(*net.TCPConn); ok { // the kernel's buffers count for the container's memory too, and may grow to megabytes
		_ = tcp.SetReadBuffer(kernelBuffer)
		_ = tcp.SetWriteBuffer(kernelBuffer)
	}
	l.limiter.registerConn(c)
	return c
}

// Write fails if the peer does not take the bytes in time: answers that are not read would
// pile up.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.unregister()
	return c.Conn.Close()
}

// closeFirst closes the connection, and reports whether it was open until now.
func (c *conn) closeFirst() bool {
	if !c.unregister() {
		return false
	}
	_ = c.Conn.Close() // its peer may have closed it meanwhile
	return true
}

// unregister ends all counting of the connection. It reports whether this is the first call.
func (c *conn) unregister() (first bool) {
	c.unregisterOnce.Do(func() {
		first = true
		close(c.done)
		c.listener.mu.Lock()
		c.listener.releasePlace(c)
		c.listener.mu.Unlock()
		c.listener.limiter.unregisterConn(c)
		if m := c.metered.Load(); m != nil {
			m.releaseAll()
		}
	})
	return first
}

func (c *conn) isClosed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// endHandler ends the count of one stream, when its handler ends.
func (c *conn) endHandler() {
	left := c.streams.Add(-1)
	if m := c.metered.Load(); m != nil {
		m.releaseEnded(left + 1)
	}
}

// findConn gives the connection of a call. A call over another kind of connection shares
// one address with all such calls, and has no share of its own.
func findConn(from net.Addr) *conn {
	if r, ok := from.(remoteAddr); ok {
		return r.conn
	}
	return &conn{address: &peerAddress{shared: true}}
}
