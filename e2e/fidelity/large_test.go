package fidelity_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// TestLargeChecks: what a client makes larger than the authorizer's limits is denied,
// and Envoy takes the answer although the authorizer has not read the whole Check: it
// counts no error, which failOpen would let in, and asks on over the same connection.
func TestLargeChecks(t *testing.T) {
	h := newHopOn(t, newRig(t, fromDump), "limits: {checkBytes: 64KiB, headers: 32}\n")
	token := "Txn-Token: " + tokentest.ValidToken(t, time.Now())
	many := func(n int) (fields []string) {
		for i := range n {
			fields = append(fields, fmt.Sprintf("X-%d: 1", i))
		}
		return fields
	}
	before := h.counters(t)
	denials := 0
	for _, row := range []struct {
		name, raw string
		status    int
		reason    string
	}{
		{"a usual request", request("/a", token), 200, "rule_allowed"},
		{"a path, which a Check holds twice", request("/"+strings.Repeat("a", 50<<10), token), 403, "check_too_large"},
		{"a header", request("/a", token, "X-A: "+strings.Repeat("a", 56<<10)), 200, "rule_allowed"},
		{"a header and a path", request("/"+strings.Repeat("a", 20<<10), token, "X-A: "+strings.Repeat("a", 36<<10)), 403, "check_too_large"},
		{"many headers", request("/a", append(many(40), token)...), 403, "too_many_headers"},
		{"another usual request", request("/a", token), 200, "rule_allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			reply := h.one(t, row.raw)
			h.settle(t)
			records := h.records(t)
			if len(records) != 1 {
				t.Fatalf("records: %+v", records)
			}
			h.arrivals()
			equal(t, "status", reply.status, row.status)
			equal(t, "reason", records[0].Reason, row.reason)
			if row.status == 403 {
				denials++
				equal(t, "the client's reason", strings.Contains(reply.body, `"reason":"`+row.reason+`"`), true)
			}
		})
	}
	after := h.counters(t)
	equal(t, "errors", after["error"]-before["error"], 0)
	equal(t, "denials", after["denied"]-before["denied"], float64(denials))
	equal(t, "connections to the authorizer", after["connections"], 1)
}

// counters of Envoy's check, and of its connections to the authorizer.
func (h *hop) counters(t testing.TB) map[string]float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stats, err := h.envoy.Stats(ctx, "ext_authz|upstream_cx_total")
	must(t, err)
	counters := map[string]float64{}
	for name, value := range stats {
		switch {
		case strings.HasSuffix(name, "ext_authz.error"):
			counters["error"] += value
		case strings.HasSuffix(name, "ext_authz.denied"):
			counters["denied"] = max(counters["denied"], value) // a Check holds it under two names
		case strings.HasSuffix(name, "upstream_cx_total") && strings.Contains(name, "9000"):
			counters["connections"] += value
		}
	}
	return counters
}
