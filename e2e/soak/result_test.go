package soak

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestWhatIsWrong(t *testing.T) {
	admitted, refused := stream{name: "alice", want: "200 orders"}, stream{name: "bob", want: "403 meshpass no_rule"}
	for _, row := range []struct {
		name string
		of   stream
		got  map[string]int
		want Result
	}{
		{"allowed", admitted, map[string]int{"200 orders": 2}, Result{Requests: 2}},
		{"no authorizer answered at either hop", admitted, map[string]int{"200 orders": 6, "503 envoy": 2, "503 orders": 3}, Result{Requests: 11, NotAsked: 5}},
		{"denied", admitted, map[string]int{"200 orders": 9, "403 meshpass kid_unknown": 2},
			Result{Requests: 11, Denied: 2, Wrong: []string{"alice: 2 times 403 meshpass kid_unknown, want 200 orders"}}},
		{"an authorizer with stale revocations", admitted, map[string]int{"200 orders": 2, "503 meshpass revocation_stale": 1},
			Result{Requests: 3, Denied: 1, Wrong: []string{"alice: 1 times 503 meshpass revocation_stale, want 200 orders"}}},
		{"rarely decided", admitted, map[string]int{"200 orders": 1, "503 envoy": 1},
			Result{Requests: 2, NotAsked: 1, Wrong: []string{"alice: only 1 of 2 times 200 orders"}}},
		{"never sent", admitted, nil, Result{Wrong: []string{"alice: only 0 of 0 times 200 orders"}}},
		{"denied as expected", refused, map[string]int{"403 meshpass no_rule": 1}, Result{Requests: 1}},
		{"wrongly allowed", refused, map[string]int{"403 meshpass no_rule": 2, "200 orders": 1},
			Result{Requests: 3, Allowed: 1, Wrong: []string{"bob: 1 times 200 orders, want 403 meshpass no_rule"}}},
		{"denied for another reason", refused, map[string]int{"403 meshpass no_rule": 2, "403 meshpass kid_unknown": 1},
			Result{Requests: 3, Wrong: []string{"bob: 1 times 403 meshpass kid_unknown, want 403 meshpass no_rule"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got Result
			got.addStream(row.of, row.got)
			got.Streams = nil
			if diff := cmp.Diff(row.want, got, cmpopts.IgnoreUnexported(Result{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKeyThatNeverSignedIsNoticed(t *testing.T) {
	now := time.Now()
	keys := &rotator{every: 4 * time.Second, lead: 2 * time.Second, signed: []string{"used"},
		made: []newKey{{kid: "used", at: now.Add(-time.Minute)}, {kid: "unused", at: now.Add(-time.Minute)}, {kid: "new", at: now}}}
	if diff := cmp.Diff([]string{"unused"}, keys.unusedKeys(now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuantiles(t *testing.T) {
	s := stream{want: "200 orders"}
	began := time.Now()
	tally := newTally([]stream{s}, began)
	if got := tally.latencySummary(); got != (Latency{}) {
		t.Errorf("without requests: %v", got)
	}
	for n := range 100 {
		tally.allowed = append(tally.allowed, timed{took: time.Duration(100-n) * time.Millisecond})
	}
	tally.count(s, "503 envoy", began)
	if diff := cmp.Diff(Latency{P50: 51, P90: 91, P99: 100, Max: 100}, tally.latencySummary()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
