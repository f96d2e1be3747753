package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/audit"
)

// sampledTrail records the same requests with a share, and gives the recorded ids and the gaps.
func sampledTrail(t *testing.T, share float64, records ...audit.Record) (ids []string, gaps []audit.Gap, s audit.Stats) {
	t.Helper()
	var text strings.Builder
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	log := audit.New(&text, audit.Options{Settings: audit.Settings{SampleAllowed: &share}, Now: func() time.Time { return noon }})
	for _, r := range records {
		log.Record(r)
	}
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	audittest.CheckLines(t, text.String())
	for _, line := range strings.Split(strings.TrimSpace(text.String()), "\n") {
		var gap audit.Gap
		if err := json.Unmarshal([]byte(line), &gap); err != nil {
			t.Fatal(err)
		}
		if gap.Kind != audit.KindGap {
			ids = append(ids, gap.ID)
			continue
		}
		gap.ID = ""
		gaps = append(gaps, gap)
	}
	return ids, gaps, log.Stats()
}

// transactions are allows of many transactions, each under an id of its own.
func transactions(hop string) (all []audit.Record) {
	for i := range 1000 {
		r := allow(fmt.Sprint(i))
		r.Listener, r.Txn, r.RequestID = hop, fmt.Sprintf("0197a1b2-0000-7000-8000-%012d", i), hop
		all = append(all, r)
	}
	return all
}

// Of the allows, a share is recorded; the others are counted, as left out and not as lost. All hops record the same
// requests, and a hop with a larger share also those.
func TestAShareOfTheAllowsIsRecorded(t *testing.T) {
	first, gaps, s := sampledTrail(t, 0.3, transactions("first")...)
	if len(first) < 250 || len(first) > 350 {
		t.Errorf("%d of 1000 are recorded", len(first))
	}
	left := uint64(1000 - len(first))
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	if want := []audit.Gap{{Time: noon, Kind: "gap", Cause: "sampled", Count: left, Since: noon, Decision: "allow"}}; !slices.Equal(gaps, want) {
		t.Errorf("got %+v, want %+v", gaps, want)
	}
	if s.Sampled != left || s.AllLost() != 0 || s.Suppressed != 0 {
		t.Errorf("got %+v", s)
	}
	if second, _, _ := sampledTrail(t, 0.3, transactions("second")...); !slices.Equal(second, first) {
		t.Error("two hops do not agree")
	}
	more, _, _ := sampledTrail(t, 0.6, transactions("third")...)
	for _, id := range first {
		if !slices.Contains(more, id) {
			t.Errorf("%s is not in the larger share", id)
		}
	}
}

func TestSharesAtTheBounds(t *testing.T) {
	denial := newRecord("deny", "no_rule")
	denial.Authenticated = true
	for share, want := range map[float64]int{0: 1, 1: 1001} {
		ids, gaps, s := sampledTrail(t, share, append(transactions("hop"), denial)...)
		if len(ids) != want || s.Sampled != uint64(1001-want) || (len(gaps) == 0) != (want == 1001) {
			t.Errorf("%v: %d records, %d gaps, %d left out", share, len(ids), len(gaps), s.Sampled)
		}
	}
}

// Without a transaction, the trace is what hops agree on; without a trace the request, and without that nothing is.
func TestWhatARequestIsSampledBy(t *testing.T) {
	set := func(change func(*audit.Record, string)) (all []audit.Record) {
		for i := range 1000 {
			r := allow(fmt.Sprint(i))
			change(&r, fmt.Sprintf("%032x", i))
			all = append(all, r)
		}
		return all
	}
	trace, _, _ := sampledTrail(t, 0.5, set(func(r *audit.Record, id string) { r.TraceID, r.RequestID = id, "one" })...)
	request, _, _ := sampledTrail(t, 0.5, set(func(r *audit.Record, id string) { r.RequestID = id })...)
	none, _, _ := sampledTrail(t, 0.5, set(func(*audit.Record, string) {})...)
	if !slices.Equal(trace, request) || len(trace) < 400 || len(trace) > 600 || len(none) < 400 || len(none) > 600 {
		t.Errorf("%d by trace, %d by request, %d by nothing", len(trace), len(request), len(none))
	}
}
