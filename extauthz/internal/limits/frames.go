package limits

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// meteredConn is a connection as gRPC reads and writes it, in plain HTTP/2. gRPC stores
// the bytes that a peer sends without asking for room, so the frames are counted here.
// Each stream holds the bytes that came for it until its end is written. Then gRPC has
// released them.
type meteredConn struct {
	net.Conn
	conn *conn

	mu         sync.Mutex
	sample     frameSample
	inFrames   frameScanner
	outFrames  frameScanner
	lastStream uint32 // stream that the peer opened last
	streams    map[uint32]openStream
	endedBytes int64        // of streams that the peer ended and whose handlers may still run
	heldBytes  atomic.Int64 // of all streams, open or ended
	closed     bool
}

// openStream is a stream whose end was not written yet.
type openStream struct {
	bytes int64
	since time.Time // zero: gRPC has not received its headers
}

func meterConn(secured net.Conn, c *conn) *meteredConn {
	m := &meteredConn{Conn: secured, conn: c, streams: map[uint32]openStream{}}
	m.inFrames.payloadLeft = len(http2.ClientPreface)
	c.metered.Store(m)
	return m
}

func (m *meteredConn) RemoteAddr() net.Addr { return remoteAddr{m.conn.RemoteAddr(), m.conn} }

// Read counts the bytes that it gives, and waits while too many are held. It waits after
// the reading, so that the bytes which end an idle time wait too.
func (m *meteredConn) Read(p []byte) (int, error) {
	n, err := m.Conn.Read(p)
	if n > 0 {
		m.mu.Lock()
		before := m.lastStream
		m.inFrames.scanBytes(p[:n], m.countReceived)
		small := m.sample.endIfFull()
		m.mu.Unlock()
		if small {
			return 0, m.closeForSmallFrames()
		}
		m.awaitRoom(before)
	}
	return n, err
}

// frameSample counts the frames of messages on a connection, and their bytes.
type frameSample struct{ frames, bytes int64 }

// An honest peer sends a Check in one frame, or in a few if flow control splits it.
const (
	sampleFrames    = 4096 // in one sample
	minAverageFrame = 64   // bytes, on average
)

// endIfFull ends a sample that has all its frames. It reports whether they are too small.
func (c *frameSample) endIfFull() bool {
	if c.frames < sampleFrames {
		return false
	}
	small := c.bytes < c.frames*minAverageFrame
	*c = frameSample{}
	return small
}

// closeForSmallFrames closes a connection whose frames cost more time than its messages.
func (m *meteredConn) closeForSmallFrames() error {
	if m.conn.closeFirst() {
		m.conn.listener.countRefused(SmallFrames)
		m.conn.listener.warnRefused(SmallFrames, m.conn)
	}
	return net.ErrClosed
}

// awaitRoom waits until there is room. The streams above a number wait with it: gRPC has
// not received them yet, so their time begins when the waiting ends.
func (m *meteredConn) awaitRoom(above uint32) {
	limiter := m.conn.listener.limiter
	if !limiter.isOverfull(m.conn.address) {
		return
	}
	m.restartTimes(above, time.Time{})
	limiter.awaitRoom(m.conn)
	m.restartTimes(above, time.Now())
}

func (m *meteredConn) restartTimes(above uint32, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for id, stream := range m.streams {
		if id > above {
			stream.since = now
			m.streams[id] = stream
		}
	}
}

// Write counts the streams that end with these bytes.
func (m *meteredConn) Write(p []byte) (int, error) {
	m.mu.Lock()
	m.outFrames.scanBytes(p, m.countSent)
	m.mu.Unlock()
	return m.Conn.Write(p)
}

func (m *meteredConn) countReceived(f frameHead) {
	if m.closed {
		return
	}
	switch f.frameType {
	case http2.FrameHeaders:
		if f.stream > m.lastStream {
			m.lastStream, m.streams[f.stream] = f.stream, openStream{since: time.Now()}
			m.holdBytes(f.stream, streamCost)
		}
		m.holdBytes(f.stream, f.length)
	case http2.FrameContinuation, http2.FrameData:
		m.sample.frames++
		m.sample.bytes += f.length
		m.holdBytes(f.stream, f.length+frameCost)
	case http2.FrameRSTStream:
		m.endByPeer(f.stream)
	}
}

func (m *meteredConn) countSent(f frameHead) {
	ends := f.frameType == http2.FrameRSTStream || f.frameType == http2.FrameHeaders && f.flags.Has(http2.FlagHeadersEndStream)
	if stream, open := m.streams[f.stream]; open && ends {
		delete(m.streams, f.stream)
		m.releaseBytes(stream.bytes)
	}
}

// holdBytes counts bytes for an open stream. gRPC drops the bytes of other streams.
func (m *meteredConn) holdBytes(stream uint32, bytes int64) {
	held, open := m.streams[stream]
	if !open {
		return
	}
	held.bytes += bytes
	m.streams[stream] = held
	m.heldBytes.Add(bytes)
	m.conn.listener.limiter.countWireBytes(m.conn.address, bytes)
}

func (m *meteredConn) releaseBytes(bytes int64) {
	m.heldBytes.Add(-bytes)
	m.conn.listener.limiter.countWireBytes(m.conn.address, -bytes)
}

// endByPeer ends a stream that the peer has ended. gRPC has no record of the stream then,
// but its handler may still hold it, and may not even have begun.
func (m *meteredConn) endByPeer(stream uint32) {
	held, open := m.streams[stream]
	if !open {
		return
	}
	delete(m.streams, stream)
	if m.conn.streams.Load() == 0 {
		m.releaseBytes(held.bytes)
		return
	}
	m.endedBytes += held.bytes
}

// overdueBytes counts the bytes of streams that were opened before a time.
func (m *meteredConn) overdueBytes(before time.Time) (bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, stream := range m.streams {
		if !stream.since.IsZero() && stream.since.Before(before) {
			bytes += stream.bytes
		}
	}
	return bytes
}

// releaseEnded releases bytes of streams that the peer ended. It is called at the end of
// one of a number of handlers, and releases its part: with the last handler all of them.
func (m *meteredConn) releaseEnded(handlers int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.endedBytes == 0 || m.closed {
		return
	}
	part := (m.endedBytes + handlers - 1) / handlers
	m.endedBytes -= part
	m.releaseBytes(part)
}

// Close releases all bytes.
func (m *meteredConn) Close() error {
	err := m.Conn.Close()
	m.releaseAll()
	return err
}

func (m *meteredConn) releaseAll() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		m.closed = true
		m.streams = nil
		m.releaseBytes(m.heldBytes.Load())
	}
}

// frameHead is the header of an HTTP/2 frame (RFC 9113 section 4.1).
type frameHead struct {
	length    int64
	frameType http2.FrameType
	flags     http2.Flags
	stream    uint32
}

// frameScanner finds the headers of frames in a stream of bytes that comes in parts.
type frameScanner struct {
	head        [9]byte
	headBytes   int // how many bytes of head are there
	payloadLeft int // how many bytes of the payload are to come
}

func (f *frameScanner) scanBytes(p []byte, found func(frameHead)) {
	for len(p) > 0 {
		if f.payloadLeft > 0 {
			skip := min(f.payloadLeft, len(p))
			f.payloadLeft -= skip
			p = p[skip:]
			continue
		}
		n := copy(f.head[f.headBytes:], p)
		f.headBytes += n
		p = p[n:]
		if f.headBytes < len(f.head) {
			return
		}
		f.headBytes = 0
		f.payloadLeft = int(f.head[0])<<16 | int(f.head[1])<<8 | int(f.head[2])
		found(frameHead{
			length: int64(f.payloadLeft), frameType: http2.FrameType(f.head[3]), flags: http2.Flags(f.head[4]),
			stream: binary.BigEndian.Uint32(f.head[5:]) &^ (1 << 31),
		})
	}
}

// countWireBytes counts bytes of one address that gRPC holds. A negative number releases
// them.
func (l *Limiter) countWireBytes(a *peerAddress, bytes int64) {
	l.wireBytes.Add(bytes)
	a.wireBytes.Add(bytes)
	if bytes < 0 && l.waiters.Load() > 0 {
		l.mu.Lock()
		close(l.room)
		l.room = make(chan struct{})
		l.mu.Unlock()
	}
}

// isOverfull reports whether gRPC holds so much that nothing more of an address is read.
func (l *Limiter) isOverfull(a *peerAddress) bool {
	most := l.maxWireBytes()
	return l.wireBytes.Load() > most || !a.shared && a.wireBytes.Load() > halfOf(most)
}

// stallTime is how long a stream may stay open after [Limits.Deadline] while a connection
// waits for room: its peer does not take the answer.
const stallTime = time.Second

// awaitRoom returns when there is room, or when the connection is closed.
func (l *Limiter) awaitRoom(c *conn) {
	for l.isOverfull(c.address) {
		l.mu.Lock()
		l.waiters.Add(1)
		room := l.room
		l.mu.Unlock()
		if l.isOverfull(c.address) {
			l.awaitChange(c, room)
		}
		l.waiters.Add(-1)
		if c.isClosed() {
			return
		}
	}
}

func (l *Limiter) awaitChange(c *conn, room <-chan struct{}) {
	timer := time.NewTimer(stallTime)
	defer timer.Stop()
	select {
	case <-room:
	case <-c.done:
	case now := <-timer.C:
		if worst := l.findLargestHolder(c.address, now); worst != nil && worst.closeFirst() {
			worst.listener.countRefused(Stalled)
			worst.listener.warnRefused(Stalled, worst)
		}
	}
}

// findLargestHolder finds the connection that holds most bytes in streams that should have
// ended. It looks at all connections, or at those of the address if only that one has
// more than its share. Nil: no connection holds any.
func (l *Limiter) findLargestHolder(a *peerAddress, now time.Time) (worst *conn) {
	most := int64(0)
	for _, c := range l.overfullConns(a) {
		if m := c.metered.Load(); m != nil {
			if held := m.overdueBytes(now.Add(-l.Deadline - stallTime)); held > most {
				most, worst = held, c
			}
		}
	}
	return worst
}

// overfullConns gives the connections: of the address, if only that one has too many bytes.
func (l *Limiter) overfullConns(a *peerAddress) (all []*conn) {
	everybody := l.wireBytes.Load() > l.maxWireBytes()
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		if everybody || c.address == a {
			all = append(all, c)
		}
	}
	return all
}
