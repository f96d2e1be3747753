package fidelity_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/audit"
)

// testRandomLines: whatever is sent, the Check's method, path and host are those
// that arrive.
func (e *alone) testRandomLines(t *testing.T) {
	walk(t, e.rig)
	varied(t, walkLines, e.faithful(t))
}

// testRandomLines: whatever is sent, only what the real authorizer lets in
// arrives, as the audit record has it.
func (h *hop) testRandomLines(t *testing.T) {
	walk(t, h.rig)
	varied(t, walkLines, len(h.outcome(t, reply{}).arrived))
}

// testRandomHTTP2 is the same where no line keeps the parts together.
func (e *alone) testRandomHTTP2(t *testing.T) {
	walkHTTP2(t, e.rig)
	varied(t, walkStreams, e.faithful(t))
}

func (h *hop) testRandomHTTP2(t *testing.T) {
	walkHTTP2(t, h.rig)
	varied(t, walkStreams, len(h.outcome(t, reply{}).arrived))
}

// faithful compares what arrived with the Checks, and says how many did.
func (e *alone) faithful(t testing.TB) int {
	t.Helper()
	v := e.views(t, reply{})
	decided := map[string]record{}
	for _, asked := range v.asked {
		path, _, _ := strings.Cut(asked.GetPath(), "?")
		id := asked.GetHeaders()["x-request-id"]
		decided[id] = record{RequestID: id, Decision: "allow", Method: asked.GetMethod(), Path: path, Host: asked.GetHost()}
	}
	faithful(t, decided, v.arrived)
	return len(v.arrived)
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
