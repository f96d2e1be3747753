package fidelity_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// fields are an HTTP/2 field section: names and values in turn. Nothing keeps
// them from being nonsense, so no HTTP client is used here.
type fields []string

// usual is a request of HTTP/2, with further fields.
func usual(method, path string, more ...string) fields {
	return append(fields{":method", method, ":scheme", "https", ":authority", ordersHost, ":path", path}, more...)
}

// h2reply is what came back on a stream. A status of "" means a reset.
type h2reply struct {
	fields   map[string]string // both sections
	trailing bool              // a second section came
	only     bool              // the first section was the whole answer
	body     string
}

// stream is one stream of a connection of its own.
type stream struct {
	conn   net.Conn
	framer *http2.Framer
}

func (r *rig) openStream(t testing.TB, f fields, end bool) *stream {
	t.Helper()
	return openStreamOn(t, r.dial(t, "h2"), f, end)
}

func openStreamOn(t testing.TB, conn net.Conn, f fields, end bool) *stream {
	t.Helper()
	s := &stream{conn: conn}
	t.Cleanup(func() { s.conn.Close() })
	_, err := io.WriteString(s.conn, http2.ClientPreface)
	must(t, err)
	s.framer = http2.NewFramer(s.conn, s.conn)
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	must(t, s.framer.WriteSettings())
	must(t, s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encode(t, f), EndHeaders: true, EndStream: end}))
	return s
}

func encode(t testing.TB, f fields) []byte {
	t.Helper()
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(f); i += 2 {
		must(t, encoder.WriteField(hpack.HeaderField{Name: f[i], Value: f[i+1]}))
	}
	return block.Bytes()
}

// next returns the next frame that is not the connection's own housekeeping;
// nil is the end of the connection.
func (s *stream) next(t testing.TB) http2.Frame {
	t.Helper()
	for {
		frame, err := s.framer.ReadFrame()
		if errors.Is(err, io.EOF) || reset(err) {
			return nil
		}
		must(t, err)
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				must(t, s.framer.WriteSettingsAck())
			}
		case *http2.MetaHeadersFrame, *http2.DataFrame, *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return frame
		}
	}
}

// h2 sends one request without a body and reads its answer.
func (r *rig) h2(t testing.TB, f fields) h2reply {
	t.Helper()
	return r.openStream(t, f, true).reply(t)
}

// reply reads the whole answer.
func (s *stream) reply(t testing.TB) h2reply {
	t.Helper()
	defer s.conn.Close()
	reply := h2reply{fields: map[string]string{}}
	for {
		switch f := s.next(t).(type) {
		case *http2.MetaHeadersFrame:
			reply.trailing = reply.fields[":status"] != ""
			for _, field := range f.Fields {
				reply.fields[field.Name] = field.Value
			}
			if f.StreamEnded() {
				reply.only = !reply.trailing
				return reply
			}
		case *http2.DataFrame:
			reply.body += string(f.Data())
			if f.StreamEnded() {
				return reply
			}
		default:
			return reply
		}
	}
}
