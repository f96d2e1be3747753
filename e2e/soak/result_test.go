package soak

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestWhatIsWrong(t *testing.T) {
	admitted, refused := stream{name: "alice", want: "200 orders"}, stream{name: "bob", want: "403 meshpass no_rule"}
	for _, row := range []struct {
		name string
		of   stream
		got  map[string]int
		want Result
	}{
		{"let in", admitted, map[string]int{"200 orders": 2}, Result{Requests: 2}},
		{"nobody answered at either hop", admitted, map[string]int{"200 orders": 6, "503 envoy": 2, "503 orders": 3}, Result{Requests: 11, NotAsked: 5}},
		{"denied", admitted, map[string]int{"200 orders": 9, "403 meshpass kid_unknown": 2},
			Result{Requests: 11, Denied: 2, Wrong: []string{"alice: 2 times 403 meshpass kid_unknown, want 200 orders"}}},
		{"an authorizer that cannot tell", admitted, map[string]int{"200 orders": 2, "503 meshpass revocation_stale": 1},
			Result{Requests: 3, Denied: 1, Wrong: []string{"alice: 1 times 503 meshpass revocation_stale, want 200 orders"}}},
		{"seldom asked", admitted, map[string]int{"200 orders": 1, "503 envoy": 1},
			Result{Requests: 2, NotAsked: 1, Wrong: []string{"alice: only 1 of 2 times 200 orders"}}},
		{"never sent", admitted, nil, Result{Wrong: []string{"alice: only 0 of 0 times 200 orders"}}},
		{"refused", refused, map[string]int{"403 meshpass no_rule": 1}, Result{Requests: 1}},
		{"wrongly let in", refused, map[string]int{"403 meshpass no_rule": 2, "200 orders": 1},
			Result{Requests: 3, Allowed: 1, Wrong: []string{"bob: 1 times 200 orders, want 403 meshpass no_rule"}}},
		{"refused for another reason", refused, map[string]int{"403 meshpass no_rule": 2, "403 meshpass kid_unknown": 1},
			Result{Requests: 3, Wrong: []string{"bob: 1 times 403 meshpass kid_unknown, want 403 meshpass no_rule"}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got Result
			got.add(row.of, row.got)
			got.Streams = nil
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKeyThatNeverSignedIsNoticed(t *testing.T) {
	now := time.Now()
	keys := &rotor{Options: Options{Every: 4 * time.Second, Lead: 2 * time.Second}, signed: map[string]bool{"used": true},
		made: []made{{"used", now.Add(-time.Minute)}, {"unused", now.Add(-time.Minute)}, {"new", now}}}
	if diff := cmp.Diff([]string{"unused"}, keys.unused(now)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestQuantiles(t *testing.T) {
	s := stream{want: "200 orders"}
	tally := newTally([]stream{s})
	if got := tally.latency(); got != (Latency{}) {
		t.Errorf("without requests: %v", got)
	}
	for n := range 100 {
		tally.add(s, s.want, time.Duration(100-n)*time.Millisecond)
	}
	tally.add(s, "503 envoy", time.Hour)
	if diff := cmp.Diff(Latency{P50: 51, P90: 91, P99: 100, Max: 100}, tally.latency()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
