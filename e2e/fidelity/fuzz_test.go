package fidelity_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

// walkLines bounds the random walks of a usual run of the tests. FuzzRequestLine
// goes on from there, for as long as `make fuzz` lets it.
const walkLines = 3000

// seed makes each run of the tests another walk; it is told where one fails.
func seed(t testing.TB) *rand.Rand {
	a, b := rand.Uint64(), rand.Uint64()
	t.Logf("rand.NewPCG(%d, %d)", a, b)
	return rand.New(rand.NewPCG(a, b))
}

// testRandomLines: whatever is sent, the Check's method, path and host are those
// that arrive.
func (e *alone) testRandomLines(t *testing.T) {
	r, w := seed(t), walker{rig: e.rig}
	defer w.end()
	for range walkLines {
		w.send(t, randomLine(r))
	}
	v := e.views(t, reply{})
	decided := map[string]record{}
	for _, asked := range v.asked {
		path, _, _ := strings.Cut(asked.GetPath(), "?")
		id := asked.GetHeaders()["x-request-id"]
		decided[id] = record{RequestID: id, Decision: "allow", Method: asked.GetMethod(), Path: path, Host: asked.GetHost()}
	}
	faithful(t, decided, v.arrived)
	w.checkVariety(t, len(v.arrived))
}

// testRandomLines: whatever is sent, only what the real authorizer lets in
// arrives, as it stands in the audit record.
func (h *hop) testRandomLines(t *testing.T) {
	r, w := seed(t), walker{rig: h.rig}
	defer w.end()
	for range walkLines {
		w.send(t, randomLine(r))
	}
	w.checkVariety(t, len(h.outcome(t, reply{}).arrived))
}

// FuzzRequestLine is the same with a fuzzer's choice of bytes.
func FuzzRequestLine(f *testing.F) {
	h := newHop(f)
	w := walker{rig: h.rig}
	f.Cleanup(w.end)
	for _, s := range spellings {
		f.Add("GET", s.sent, ordersHost)
	}
	for _, m := range methods {
		f.Add(m, "/admin", ordersHost)
	}
	for _, host := range hosts {
		f.Add("GET", "/a", host)
	}
	f.Fuzz(func(t *testing.T, method, target, host string) {
		if len(method) > audit.MaxMethod || len(target) > audit.MaxPath || len(host) > audit.MaxHost {
			t.Skip() // the audit record would cut it
		}
		w.send(t, line{method, target, host})
		h.outcome(t, reply{})
	})
}

// walker sends line after line, on one connection as long as Envoy keeps it.
type walker struct {
	*rig
	conn    *tls.Conn
	in      *bufio.Reader
	refused int // by Envoy, as no request
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
	if response.StatusCode == http.StatusBadRequest {
		w.refused++
	}
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

// checkVariety keeps a walk from passing because nothing, or all, ends at Envoy.
func (w *walker) checkVariety(t testing.TB, arrived int) {
	t.Helper()
	t.Logf("%d lines: %d arrived, Envoy refused %d", walkLines, arrived, w.refused)
	if arrived < walkLines/20 || w.refused < walkLines/20 {
		t.Errorf("%d arrived, Envoy refused %d: the lines are too much alike", arrived, w.refused)
	}
}
