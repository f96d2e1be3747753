package fidelity_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

// How far the random walks of a usual run of the tests go. FuzzRequestLine goes
// on from there, for as long as `make fuzz` lets it.
const walkLines, walkStreams = 3000, 300

// seed makes each run of the tests another walk; a failure prints it.
func seed(t testing.TB) *rand.Rand {
	a, b := rand.Uint64(), rand.Uint64()
	t.Logf("rand.NewPCG(%d, %d)", a, b)
	return rand.New(rand.NewPCG(a, b))
}

// walk sends random lines.
func walk(t testing.TB, r *rig) {
	t.Helper()
	random, w := seed(t), walker{rig: r}
	defer w.end()
	for range walkLines {
		w.send(t, randomLine(random))
	}
}

// walkHTTP2 sends random heads, each on a connection of its own and all before
// the first end is waited for: most are reset, and Envoy takes a second for each.
func walkHTTP2(t testing.TB, r *rig) {
	t.Helper()
	random := seed(t)
	var streams []*stream
	for range walkStreams {
		streams = append(streams, r.openStream(t, randomFields(random), true))
	}
	for _, s := range streams {
		s.next(t)
		s.conn.Close()
	}
}

// walker sends line after line, on one connection as long as Envoy keeps it.
type walker struct {
	*rig
	conn *tls.Conn
	in   *bufio.Reader
}

// send waits for the first reply, or for the end of the connection. A line end
// within may have made two requests of a line, or one that never ends: after
// those the connection is of no more use.
func (w *walker) send(t testing.TB, l line) {
	t.Helper()
	if w.conn == nil {
		w.conn = w.dial(t, "http/1.1")
		w.in = bufio.NewReader(w.conn)
	}
	must(t, w.conn.SetDeadline(time.Now().Add(patience)))
	_, err := io.WriteString(w.conn, l.raw())
	must(t, err)
	if over(w.in) {
		w.end()
		return
	}
	response, err := http.ReadResponse(w.in, &http.Request{Method: l.method})
	if l.broken() {
		w.end()
		return
	}
	must(t, err)
	_, err = io.Copy(io.Discard, response.Body)
	must(t, err)
	if response.Close {
		w.end()
	}
}

func (w *walker) end() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

// varied keeps a walk from passing because nothing, or all, ends at Envoy.
func varied(t testing.TB, sent, arrived int) {
	t.Helper()
	t.Logf("%d of %d arrived", arrived, sent)
	if arrived < sent/30 || arrived > sent*9/10 {
		t.Errorf("%d of %d arrived: they are too much alike", arrived, sent)
	}
}
