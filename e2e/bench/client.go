package bench

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// client is one connection with Checks, as a worker thread of Envoy has it. It writes frames by hand, because the load
// must cost less than the server: a client of grpc-go costs more than what is measured. Answers are written together with
// what else is ready, like those of an event loop.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	head   [9]byte
	body   []byte

	mu      sync.Mutex // for all below: a paced load sends from a second goroutine
	writer  *bufio.Writer
	encoder *hpack.Encoder
	block   bytes.Buffer
	decoder *hpack.Decoder
	last    uint32 // stream
	window  int    // bytes that may be sent
	open    map[uint32]*openCheck
	free    []*openCheck
	count   uint64
	unacked int // bytes received since the last update of our own window
}

// openCheck is a Check that waits for its answer.
type openCheck struct {
	since  time.Time
	answer []byte // that has come of it
}

// answerWindow is how many bytes of answers the server may send ahead of what is read, as with Envoy's defaults.
const answerWindow = 256 << 20

func newClient(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	c := &client{
		conn: conn, reader: bufio.NewReaderSize(conn, 64<<10), writer: bufio.NewWriterSize(conn, 64<<10),
		window: 65535, open: map[uint32]*openCheck{}, last: ^uint32(0), // the first stream is 1
	}
	c.encoder, c.decoder = hpack.NewEncoder(&c.block), hpack.NewDecoder(4096, nil)
	_, _ = c.writer.WriteString(http2.ClientPreface) // errors of the buffer come back from its flush
	c.writeFrame(http2.FrameSettings, 0, 0, nil)     // the defaults: an answer is far smaller than a stream's window
	c.writeFrame(http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, answerWindow))
	return c, errors.Join(c.writer.Flush(), c.awaitSettings())
}

func (c *client) close() error { return c.conn.Close() }

// awaitSettings reads until the server's settings have come.
func (c *client) awaitSettings() error {
	for {
		frame, err := c.readFrame()
		if err != nil {
			return err
		}
		if _, _, err := c.handleFrame(frame); err != nil {
			return err
		}
		if frame.kind == http2.FrameSettings && !frame.flags.Has(http2.FlagSettingsAck) {
			return c.writer.Flush()
		}
	}
}

func (c *client) writeFrame(kind http2.FrameType, flags http2.Flags, stream uint32, payload []byte) {
	var head [9]byte
	head[0], head[1], head[2] = byte(len(payload)>>16), byte(len(payload)>>8), byte(len(payload))
	head[3], head[4] = byte(kind), byte(flags)
	binary.BigEndian.PutUint32(head[5:], stream)
	_, _ = c.writer.Write(head[:]) // errors of the buffer come back from its flush
	_, _ = c.writer.Write(payload)
}

// mostStreams is how many Checks a server of the rig answers at one time on a connection.
const mostStreams = 250

// hasRoom reports whether the server takes one more Check: its window and the number of its streams are bounded.
func (c *client) hasRoom(message []byte) bool {
	return c.window >= len(message) && len(c.open) < mostStreams
}

var errWindow = errors.New("the server does not take more Checks: it has not answered earlier ones")

// send writes one Check into the buffer. message has the prefix of gRPC. The time of its answer counts from at.
func (c *client) send(message []byte, at time.Time) {
	c.last += 2
	c.count++
	c.block.Reset()
	for _, field := range callHeaders {
		_ = c.encoder.WriteField(field) // into memory
	}
	_ = c.encoder.WriteField(hpack.HeaderField{Name: "traceparent", Value: fmt.Sprintf("00-4bf92f3577b34da6a3ce929d%08x-00f067aa%08x-00", c.count, c.count)})
	c.writeFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, c.last, c.block.Bytes())
	for rest := message; ; {
		part := rest[:min(len(rest), 16<<10)]
		rest = rest[len(part):]
		if len(rest) == 0 {
			c.writeFrame(http2.FrameData, http2.FlagDataEndStream, c.last, part)
			break
		}
		c.writeFrame(http2.FrameData, 0, c.last, part)
	}
	c.window -= len(message)
	check := &openCheck{}
	if last := len(c.free) - 1; last >= 0 {
		check, c.free = c.free[last], c.free[:last]
	}
	check.since, check.answer = at, check.answer[:0]
	c.open[c.last] = check
}

// callHeaders are those of Envoy's call, with a trace that is not sampled: see send.
var callHeaders = []hpack.HeaderField{
	{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: auth.Authorization_Check_FullMethodName},
	{Name: ":authority", Value: "meshpass.meshpass.svc.cluster.local"}, {Name: "te", Value: "trailers"}, {Name: "grpc-timeout", Value: "10000m"},
	{Name: "content-type", Value: "application/grpc"}, {Name: "x-envoy-internal", Value: "true"}, {Name: "x-forwarded-for", Value: "10.77.0.11"},
	{Name: "x-envoy-expected-rq-timeout-ms", Value: "10000"},
}

type frame struct {
	kind    http2.FrameType
	flags   http2.Flags
	stream  uint32
	payload []byte // valid until the next frame
}

// hasFrame reports whether a whole frame has come, so that reading it does not wait.
func (c *client) hasFrame() bool {
	head, _ := c.reader.Peek(min(c.reader.Buffered(), len(c.head))) // no error: so many bytes are there
	return len(head) == len(c.head) && c.reader.Buffered() >= len(head)+int(head[0])<<16+int(head[1])<<8+int(head[2])
}

func (c *client) readFrame() (f frame, err error) {
	if _, err := io.ReadFull(c.reader, c.head[:]); err != nil {
		return f, fmt.Errorf("reading from the server: %w", err)
	}
	size := int(c.head[0])<<16 | int(c.head[1])<<8 | int(c.head[2])
	f = frame{kind: http2.FrameType(c.head[3]), flags: http2.Flags(c.head[4]), stream: binary.BigEndian.Uint32(c.head[5:]) &^ (1 << 31)}
	c.body = slices.Grow(c.body[:0], size)[:size]
	f.payload = c.body
	_, err = io.ReadFull(c.reader, c.body)
	return f, err
}

// handleFrame reports whether the frame ends a Check, and how long that took. A Check that is not allowed is an error.
func (c *client) handleFrame(f frame) (ended bool, took time.Duration, err error) {
	switch f.kind {
	case http2.FrameSettings:
		if !f.flags.Has(http2.FlagSettingsAck) {
			c.writeFrame(http2.FrameSettings, http2.FlagSettingsAck, 0, nil)
		}
	case http2.FramePing:
		if !f.flags.Has(http2.FlagPingAck) {
			c.writeFrame(http2.FramePing, http2.FlagPingAck, 0, f.payload)
		}
	case http2.FrameWindowUpdate:
		if f.stream == 0 {
			c.window += int(binary.BigEndian.Uint32(f.payload))
		}
	case http2.FrameData:
		if check := c.open[f.stream]; check != nil {
			check.answer = append(check.answer, f.payload...)
		}
		if c.unacked += len(f.payload); c.unacked >= answerWindow/4 {
			c.writeFrame(http2.FrameWindowUpdate, 0, 0, binary.BigEndian.AppendUint32(nil, uint32(c.unacked)))
			c.unacked = 0
		}
	case http2.FrameHeaders:
		return c.handleHeaders(f)
	case http2.FrameRSTStream, http2.FrameGoAway:
		return false, 0, fmt.Errorf("the server ended stream %d with %v", f.stream, f.kind)
	}
	return false, 0, nil
}

func (c *client) handleHeaders(f frame) (ended bool, took time.Duration, err error) {
	status := ""
	c.decoder.SetEmitFunc(func(field hpack.HeaderField) {
		if field.Name == "grpc-status" {
			status = field.Value
		}
	})
	if _, err := c.decoder.Write(f.payload); err != nil {
		return false, 0, err
	}
	if !f.flags.Has(http2.FlagHeadersEndStream) {
		return false, 0, nil
	}
	check := c.open[f.stream]
	if check == nil || status != "0" {
		return false, 0, fmt.Errorf("stream %d ended with the gRPC status %q", f.stream, status)
	}
	delete(c.open, f.stream)
	c.free = append(c.free, check)
	return true, time.Since(check.since), requireAllow(check.answer)
}

// requireAllow reads only the first fields of an answer, because the load must be cheap.
func requireAllow(answer []byte) error {
	const prefix = 5 // of gRPC
	status, allowed := true, false
	for rest := answer[min(prefix, len(answer)):]; len(rest) > 0; {
		number, kind, n := protowire.ConsumeField(rest)
		if n < 0 {
			break
		}
		switch {
		case number == 1: // status
			status = kind == protowire.BytesType && n == 2 // empty: OK
		case number == 3: // ok_response
			allowed = true
		}
		rest = rest[n:]
	}
	if status && allowed {
		return nil
	}
	var response auth.CheckResponse
	if err := proto.Unmarshal(answer[min(prefix, len(answer)):], &response); err != nil {
		return err
	}
	return fmt.Errorf("a Check was not allowed: %v %s", response.GetDeniedResponse().GetStatus(), response.GetDeniedResponse().GetBody())
}

// frameMessage adds the prefix of gRPC.
func frameMessage(message proto.Message) ([]byte, error) {
	data, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(make([]byte, 5, 2048), message)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(data[1:], uint32(len(data)-5))
	return data, nil
}

// patience is how long answers may take: a server that does not answer ends the measurement.
const patience = 15 * time.Second

// runClosed has a number of Checks in flight until the deadline, or until next returns nil. It returns the number of
// answers.
func (c *client) runClosed(inFlight int, deadline time.Time, next func() []byte) (answers int, err error) {
	if err := c.conn.SetDeadline(deadline.Add(patience)); err != nil {
		return 0, err
	}
	open := 0
	sendNext := func() error {
		message := next()
		if message == nil {
			return nil
		}
		if !c.hasRoom(message) {
			return errWindow
		}
		open++
		c.send(message, time.Now())
		return nil
	}
	for range inFlight {
		if err := sendNext(); err != nil {
			return 0, err
		}
	}
	for open > 0 {
		if !c.hasFrame() {
			if err := c.writer.Flush(); err != nil {
				return answers, err
			}
		}
		frame, err := c.readFrame()
		if err != nil {
			return answers, err
		}
		ended, _, err := c.handleFrame(frame)
		if err != nil {
			return answers, err
		}
		if !ended {
			continue
		}
		open--
		answers++
		if time.Now().Before(deadline) {
			if err := sendNext(); err != nil {
				return answers, err
			}
		}
	}
	return answers, c.writer.Flush()
}

// runPaced sends so many Checks, one in each interval, however fast they are answered. It returns how long each answer took.
func (c *client) runPaced(interval time.Duration, count int, message []byte) (took []time.Duration, err error) {
	if err := c.conn.SetDeadline(time.Now().Add(interval*time.Duration(count) + patience)); err != nil {
		return nil, err
	}
	failed, ended := make(chan error, 1), make(chan struct{})
	go func() {
		err := c.sendPaced(interval, count, message, ended)
		if err != nil {
			_ = c.conn.Close() // ends the reading below
		}
		failed <- err
	}()
	for len(took) < count && err == nil {
		took, err = c.readAnswer(took)
	}
	close(ended)
	return took, errors.Join(<-failed, err)
}

// readAnswer reads a frame, and appends the time of the answer that it ends.
func (c *client) readAnswer(took []time.Duration) ([]time.Duration, error) {
	frame, err := c.readFrame()
	if err != nil {
		return took, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	ended, duration, err := c.handleFrame(frame)
	if ended {
		took = append(took, duration)
	}
	if err == nil && !c.hasFrame() {
		err = c.writer.Flush()
	}
	return took, err
}

// sendPaced sends late if the machine is busy or the server does not read. The time of an answer counts from when its Check was due.
func (c *client) sendPaced(interval time.Duration, count int, message []byte, ended <-chan struct{}) error {
	for at := time.Now(); count > 0; {
		if wait := time.Until(at); wait > 0 {
			time.Sleep(wait)
		}
		sent, err := c.sendIfRoom(message, at)
		if err != nil {
			return err
		}
		if sent {
			at = at.Add(interval)
			count--
			continue
		}
		select { // until the reader has got more of the window
		case <-ended:
			return errWindow
		case <-time.After(interval):
		}
	}
	return nil
}

func (c *client) sendIfRoom(message []byte, at time.Time) (sent bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasRoom(message) {
		return false, nil
	}
	c.send(message, at)
	return true, c.writer.Flush()
}
