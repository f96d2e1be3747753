package limits

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// What gRPC keeps for a peer, beside the bytes that it sent.
const (
	streamCost = 16 << 10 // a stream: its goroutine, its context, its headers once decoded
	frameCost  = 64       // a frame that waits to be read
)

// metered is a connection as gRPC reads and writes it, in plain HTTP/2. gRPC asks
// nobody before it keeps what a peer sends, so that the frames are counted here: each
// stream holds what came for it until its end is written. Then gRPC has let it go.
type metered struct {
	net.Conn
	conn *conn

	mu     sync.Mutex
	data   crumbs
	in     frames
	out    frames
	last   uint32 // stream that the peer opened
	open   map[uint32]opened
	ended  int64        // bytes of streams that the peer ended, whose handlers may go on
	held   atomic.Int64 // bytes of both
	closed bool
}

// opened is a stream.
type opened struct {
	bytes int64
	since time.Time // zero: gRPC knows nothing of it
}

func meter(secured net.Conn, c *conn) *metered {
	m := &metered{Conn: secured, conn: c, open: map[uint32]opened{}}
	m.in.left = len(http2.ClientPreface)
	c.meter.Store(m)
	return m
}

func (m *metered) RemoteAddr() net.Addr { return remote{m.conn.RemoteAddr(), m.conn} }

// Read counts what it gives, and waits while too much is held. It waits after the
// reading, so that what a connection sent while it was idle waits too.
func (m *metered) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		m.mu.Lock()
		before := m.last
		m.in.scan(p[:n], m.received)
		small := m.data.tooSmall()
		m.mu.Unlock()
		if small {
			return 0, m.refuse()
		}
		m.awaitRoom(before)
	}
	return n, err
}

// crumbs are the frames of messages on a connection: how many, and how large.
type crumbs struct{ frames, bytes int64 }

// An honest peer sends a Check in one frame, or in a few where flow control splits it.
const (
	framesLooked = 4096 // at one time
	leastFrame   = 64   // bytes, on average
)

// tooSmall looks at so many frames together, and then at the next ones.
func (c *crumbs) tooSmall() bool {
	if c.frames < framesLooked {
		return false
	}
	small := c.bytes < c.frames*leastFrame
	*c = crumbs{}
	return small
}

// refuse closes a connection whose peer costs more time than its messages do.
func (m *metered) refuse() error {
	if m.conn.shut() {
		m.conn.listener.reject(SmallFrames)
		m.conn.listener.warn(SmallFrames, m.conn)
	}
	return net.ErrClosed
}

// awaitRoom waits on behalf of the streams above one, of which gRPC knows nothing
// yet: their time begins when it does.
func (m *metered) awaitRoom(above uint32) {
	limiter := m.conn.listener.limiter
	if !limiter.overfull(m.conn.address) {
		return
	}
	m.restart(above, time.Time{})
	limiter.awaitRoom(m.conn)
	m.restart(above, time.Now())
}

func (m *metered) restart(above uint32, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, stream := range m.open {
		if id > above {
			stream.since = now
			m.open[id] = stream
		}
	}
}

// Write counts the streams that it ends.
func (m *metered) Write(p []byte) (int, error) {
	m.mu.Lock()
	m.out.scan(p, m.sent)
	m.mu.Unlock()
	return m.Conn.Write(p)
}

func (m *metered) received(f frame) {
	if m.closed {
		return
	}
	switch f.kind {
	case http2.FrameHeaders:
		if f.stream > m.last {
			m.last, m.open[f.stream] = f.stream, opened{since: time.Now()}
			m.hold(f.stream, streamCost)
		}
		m.hold(f.stream, f.length)
	case http2.FrameContinuation, http2.FrameData:
		m.data.frames++
		m.data.bytes += f.length
		m.hold(f.stream, f.length+frameCost)
	case http2.FrameRSTStream:
		m.endedByPeer(f.stream)
	}
}

func (m *metered) sent(f frame) {
	ends := f.kind == http2.FrameRSTStream || f.kind == http2.FrameHeaders && f.flags.Has(http2.FlagHeadersEndStream)
	if stream, open := m.open[f.stream]; open && ends {
		delete(m.open, f.stream)
		m.release(stream.bytes)
	}
}

// hold counts bytes for a stream that is open. gRPC drops those of others.
func (m *metered) hold(stream uint32, bytes int64) {
	held, open := m.open[stream]
	if !open {
		return
	}
	held.bytes += bytes
	m.open[stream] = held
	m.held.Add(bytes)
	m.conn.listener.limiter.received(m.conn.address, bytes)
}

func (m *metered) release(bytes int64) {
	m.held.Add(-bytes)
	m.conn.listener.limiter.received(m.conn.address, -bytes)
}

// endedByPeer: gRPC has forgotten the stream, and its handler, which has it still,
// need not even have begun.
func (m *metered) endedByPeer(stream uint32) {
	held, open := m.open[stream]
	if !open {
		return
	}
	delete(m.open, stream)
	if m.conn.streams.Load() == 0 {
		m.release(held.bytes)
		return
	}
	m.ended += held.bytes
}

// overdue counts the bytes of streams that were opened before a time.
func (m *metered) overdue(before time.Time) (bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, stream := range m.open {
		if !stream.since.IsZero() && stream.since.Before(before) {
			bytes += stream.bytes
		}
	}
	return bytes
}

// handled releases, at the end of one of so many handlers, its part of what the
// peer ended: when the last one ends, all of it.
func (m *metered) handled(handlers int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == 0 || m.closed {
		return
	}
	part := (m.ended + handlers - 1) / handlers
	m.ended -= part
	m.release(part)
}

// Close releases everything.
func (m *metered) Close() error {
	err := m.Conn.Close()
	m.forget()
	return err
}

func (m *metered) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		m.open = nil
		m.release(m.held.Load())
	}
}

// frame is the head of an HTTP/2 frame (RFC 9113 section 4.1).
type frame struct {
	length int64
	kind   http2.FrameType
	flags  http2.Flags
	stream uint32
}

// frames finds the heads of frames in a stream of bytes that comes in pieces.
type frames struct {
	head [9]byte
	have int // bytes of the head
	left int // of what follows it
}

func (f *frames) scan(p []byte, found func(frame)) {
	for len(p) > 0 {
		if f.left > 0 {
			skip := min(f.left, len(p))
			f.left -= skip
			p = p[skip:]
			continue
		}
		n := copy(f.head[f.have:], p)
		f.have += n
		p = p[n:]
		if f.have < len(f.head) {
			return
		}
		f.have = 0
		f.left = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		found(frame{
			length: int64(f.left), kind: http2.FrameType(f.head[3]), flags: http2.Flags(f.head[4]),
			stream: binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31),
		})
	}
}

// received counts bytes of one address that gRPC holds; negative ones, that it does
// not any more.
func (l *Limiter) received(a *address, bytes int64) {
	l.wire.Add(bytes)
	a.wire.Add(bytes)
	if bytes < 0 && l.waiters.Load() > 0 {
		l.mu.Lock()
		close(l.room)
		l.room = make(chan struct{})
		l.mu.Unlock()
	}
}

// overfull reports that nothing more of an address is read.
func (l *Limiter) overfull(a *address) bool {
	most := l.mostWire()
	return l.wire.Load() > most || !a.shared && a.wire.Load() > half(most)
}

// mostWire is a quarter more than the bytes with which Checks are still decided: the
// others need some for their answer.
func (l Limits) mostWire() int64 { return int64(l.InFlightBytes) / 4 * 5 }

// stalled is how long a stream may be open beyond [Limits.Deadline], when somebody
// has waited for room for as long: its peer does not take the answer.
const stalled = time.Second

// awaitRoom returns when there is room, or when the connection is closed.
func (l *Limiter) awaitRoom(c *conn) {
	for l.overfull(c.address) {
		l.mu.Lock()
		l.waiters.Add(1)
		room := l.room
		l.mu.Unlock()
		if l.overfull(c.address) {
			l.awaitChange(c, room)
		}
		l.waiters.Add(-1)
		if c.isClosed() {
			return
		}
	}
}

func (l *Limiter) awaitChange(c *conn, room <-chan struct{}) {
	timer := time.NewTimer(stalled)
	defer timer.Stop()
	select {
	case <-room:
	case <-c.done:
	case now := <-timer.C:
		if worst := l.holdsMost(c.address, now); worst != nil && worst.shut() {
			worst.listener.reject(Stalled)
			worst.listener.warn(Stalled, worst)
		}
	}
}

// holdsMost is the connection that holds most in streams that should have ended: of
// all, or of the address, where that has more than its share. Nil: none has any.
func (l *Limiter) holdsMost(a *address, now time.Time) (worst *conn) {
	most := int64(0)
	for _, c := range l.open(a) {
		if m := c.meter.Load(); m != nil {
			if held := m.overdue(now.Add(-l.Deadline - stalled)); held > most {
				most, worst = held, c
			}
		}
	}
	return worst
}

// open are the connections, of an address if that one alone has too much.
func (l *Limiter) open(a *address) (all []*conn) {
	everybody := l.wire.Load() > l.mostWire()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if everybody || c.address == a {
			all = append(all, c)
		}
	}
	return all
}
