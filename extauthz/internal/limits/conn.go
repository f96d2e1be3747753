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

// Why a connection is refused: the values of the metric's label.
const (
	LimitReached      = "connections" // limits.connections
	AddressShare      = "address"     // half of it, from one address
	HandshakeEvicted  = "handshakes"  // too many connections that prove nothing
	HandshakeRejected = "tls"         // no certificate, or of a peer that may not ask
	Stalled           = "stalled"     // takes no answers, and so holds memory
	SmallFrames       = "frames"      // sends its messages in crumbs, each of which costs time
)

// Causes lists them.
func Causes() []string {
	return []string{LimitReached, AddressShare, HandshakeEvicted, HandshakeRejected, Stalled, SmallFrames}
}

// nearly is the part of the connections from which on the log warns.
const nearly = 0.8

// Listener accepts the connections of one listener.
type Listener struct {
	net.Listener
	limiter *Limiter
	name    string
	speaks  Protocol

	mu       sync.Mutex
	pending  []*conn                // in their handshake, oldest first
	open     int                    // connections that count
	of       map[netip.Addr][]*conn // those that count, oldest first
	refused  map[string]uint64
	nearFull bool // and the log says so
}

// Protocol is what the peers of a listener speak.
type Protocol int

// With HTTP2OverTLS peers count among [Limits.Connections] when their handshake has
// ended: see [Listener.Credentials].
const (
	HTTP1 Protocol = iota
	HTTP2
	HTTP2OverTLS
)

// Listen bounds the connections of a listener.
func (l *Limiter) Listen(inner net.Listener, name string, speaks Protocol) *Listener {
	return &Listener{Listener: inner, limiter: l, name: name, speaks: speaks, of: map[netip.Addr][]*conn{}, refused: map[string]uint64{}}
}

// Accept closes what does not fit at once, before it costs a handshake.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := l.newConn(raw)
		switch {
		case !l.admit(c):
			_ = c.Close() // nothing is open on it
		case l.speaks == HTTP2:
			return meter(c, c), nil
		default: // which is metered after its handshake, or has no frames
			return c, nil
		}
	}
}

func (l *Listener) admit(c *conn) bool {
	evicted, refused := l.accept(c)
	l.end(evicted)
	l.warnNearFull()
	if refused != "" {
		l.warn(refused, c)
	}
	return refused == ""
}

// accept gives the connection its place, among those in their handshake where
// there is one.
func (l *Listener) accept(c *conn) (evicted *conn, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.speaks != HTTP2OverTLS {
		return l.count(c)
	}
	if l.hasShare(c) { // its handshake would be for nothing
		l.refused[AddressShare]++
		return nil, AddressShare
	}
	if len(l.pending) >= Handshakes {
		evicted = l.oldestOfMost()
		evicted.cause = HandshakeEvicted
		l.forget(evicted)
		l.refused[HandshakeEvicted]++
	}
	l.pending, c.state = append(l.pending, c), pending
	return evicted, ""
}

// proven counts a connection whose handshake has ended well.
func (l *Listener) proven(c *conn) (evicted *conn, refused string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.state == gone {
		return nil, HandshakeEvicted
	}
	l.forget(c)
	return l.count(c)
}

// count finds a place for a connection among those that count. Where there is none,
// the address with most of them loses one, if that has two more than this: anyone who
// has many keeps nobody out that has few.
func (l *Listener) count(c *conn) (evicted *conn, refused string) {
	its := len(l.of[c.at])
	if l.hasShare(c) {
		l.refused[AddressShare]++
		return nil, AddressShare
	}
	if l.open >= l.limiter.Connections {
		l.refused[LimitReached]++
		if evicted = l.mostIdle(); evicted == nil || len(l.of[evicted.at]) < its+2 {
			return nil, LimitReached
		}
		evicted.cause = LimitReached
		l.forget(evicted)
	}
	c.state = counted
	l.open++
	l.of[c.at] = append(l.of[c.at], c)
	return evicted, ""
}

// warnNearFull logs once that the limit is near, and again when it was not meanwhile.
func (l *Listener) warnNearFull() {
	l.mu.Lock()
	open, was := l.open, l.nearFull
	l.nearFull = float64(open) >= nearly*float64(l.limiter.Connections)
	now := l.nearFull
	l.mu.Unlock()
	if now && !was {
		l.limiter.log.Warn("connections near their limit", "listener", l.name, "connections", open, "limit", l.limiter.Connections)
	}
}

// hasShare reports that the peer has all connections that one address may have.
func (l *Listener) hasShare(c *conn) bool {
	return !c.address.shared && len(l.of[c.at]) >= half(l.limiter.Connections)
}

// mostIdle is a connection of the address that has most: the oldest without a
// stream, or else the oldest.
func (l *Listener) mostIdle() *conn {
	var most []*conn
	for _, all := range l.of {
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

// oldestOfMost is the connection in its handshake that goes first.
func (l *Listener) oldestOfMost() *conn {
	each := map[netip.Addr]int{}
	most := l.pending[0]
	for _, c := range l.pending {
		if each[c.at]++; each[c.at] > each[most.at] {
			most = c
		}
	}
	return l.pending[slices.IndexFunc(l.pending, func(c *conn) bool { return c.at == most.at })]
}

// forget takes the connection's place back, whatever it was.
func (l *Listener) forget(c *conn) {
	isIt := func(other *conn) bool { return other == c }
	switch c.state {
	case pending:
		l.pending = slices.DeleteFunc(l.pending, isIt)
	case counted:
		l.open--
		if l.of[c.at] = slices.DeleteFunc(l.of[c.at], isIt); len(l.of[c.at]) == 0 {
			delete(l.of, c.at)
		}
	}
	c.state = gone
}

// end closes a connection that lost its place; nil is none.
func (l *Listener) end(evicted *conn) {
	if evicted == nil {
		return
	}
	l.warn(evicted.cause, evicted)
	_ = evicted.Close() // its peer may have closed it meanwhile
}

func (l *Listener) reject(cause string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[cause]++
}

func (l *Listener) warn(cause string, c *conn) {
	l.limiter.Warn("connection "+cause, "connection refused", "listener", l.name, "cause", cause, "client", c.RemoteAddr().String())
}

// Connections of one listener.
type Connections struct {
	Listener string
	Open     int
	Max      int
	Refused  map[string]uint64 // by cause, from [Causes]
}

// Connections now, and all that were refused since the start.
func (l *Listener) Connections() Connections {
	l.mu.Lock()
	defer l.mu.Unlock()
	refused := map[string]uint64{}
	for _, cause := range Causes() {
		refused[cause] = l.refused[cause]
	}
	return Connections{Listener: l.name, Open: l.open, Max: l.limiter.Connections, Refused: refused}
}

// Credentials count a connection of this listener from the end of its handshake
// on: until then nobody knows whether its peer may ask.
func (l *Listener) Credentials(inner credentials.TransportCredentials) credentials.TransportCredentials {
	return proving{inner, l}
}

type proving struct {
	credentials.TransportCredentials
	listener *Listener
}

func (p proving) ServerHandshake(raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	secured, info, err := p.TransportCredentials.ServerHandshake(raw)
	if err != nil {
		if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) { // not a probe that went away, or one of those closed here
			p.listener.reject(HandshakeRejected)
		}
		return secured, info, err
	}
	c, ok := raw.(*conn)
	if !ok || c.listener != p.listener {
		return nil, nil, fmt.Errorf("limits: a connection that the listener did not accept")
	}
	evicted, refused := p.listener.proven(c)
	p.listener.end(evicted)
	p.listener.warnNearFull()
	if refused != "" {
		p.listener.warn(refused, c)
		return nil, nil, fmt.Errorf("limits: connection refused: %s", refused)
	}
	return meter(secured, c), info, nil
}

func (p proving) Clone() credentials.TransportCredentials {
	return proving{p.TransportCredentials.Clone(), p.listener}
}

type state int

const (
	gone state = iota
	pending
	counted
)

// conn is a connection in its listener's books.
type conn struct {
	net.Conn
	listener *Listener
	at       netip.Addr
	address  *address
	streams  atomic.Int64 // whose handlers have not ended
	meter    atomic.Pointer[metered]
	state    state  // under the listener's mutex
	cause    string // why it lost its place
	done     chan struct{}
	left     sync.Once
}

// remote is a peer's address as gRPC hands it to each call, with the connection.
type remote struct {
	net.Addr
	conn *conn
}

func (l *Listener) newConn(raw net.Conn) *conn {
	c := &conn{Conn: raw, listener: l, done: make(chan struct{})}
	if tcp, ok := raw.RemoteAddr().(*net.TCPAddr); ok {
		c.at = tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	if tcp, ok := raw.(*net.TCPConn); ok { // the kernel's buffers count for the container too, and may grow to megabytes
		_ = tcp.SetReadBuffer(kernelBuffer)
		_ = tcp.SetWriteBuffer(kernelBuffer)
	}
	l.limiter.join(c)
	return c
}

// Write fails where the peer does not take what is written: answers that nobody
// reads would pile up.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

func (c *conn) Close() error {
	c.leave()
	return c.Conn.Close()
}

// shut closes the connection, and reports whether nobody had before.
func (c *conn) shut() bool {
	if !c.leave() {
		return false
	}
	_ = c.Conn.Close() // its peer may have closed it meanwhile
	return true
}

// leave takes the connection out of all books, once.
func (c *conn) leave() (first bool) {
	c.left.Do(func() {
		first = true
		close(c.done)
		c.listener.mu.Lock()
		c.listener.forget(c)
		c.listener.mu.Unlock()
		c.listener.limiter.leave(c)
		if m := c.meter.Load(); m != nil {
			m.forget()
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

// handlerEnded ends what [Limiter.opening] began.
func (c *conn) handlerEnded() {
	left := c.streams.Add(-1)
	if m := c.meter.Load(); m != nil {
		m.handled(left + 1)
	}
}

// connOf is the connection of a call. One that came over none of ours has only what
// all have together.
func connOf(from net.Addr) *conn {
	if r, ok := from.(remote); ok {
		return r.conn
	}
	return &conn{address: &address{shared: true}}
}
