package soak

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// An order that a document denies at times has both outcomes only around a change.
func TestRightOutcomes(t *testing.T) {
	began := time.Now()
	c := &policyChanger{changes: []policyChange{{began.Add(10 * time.Second), true}, {began.Add(30 * time.Second), false}}}
	const allowed = "200 orders"
	for _, row := range []struct {
		sent, answered float64
		want           []string
	}{
		{1, 2, []string{allowed}}, {1, 10.1, []string{allowed, denied}}, {10.1, 10.2, []string{allowed, denied}}, {14.9, 15, []string{allowed, denied}},
		{15.1, 15.2, []string{denied}}, {29, 29.9, []string{denied}}, {34.9, 36, []string{denied, allowed}}, {35.1, 36, []string{allowed}},
	} {
		at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
		if diff := cmp.Diff(row.want, c.rightOutcomes(at(row.sent), at(row.answered))); diff != "" {
			t.Errorf("sent at %v, answered at %v (-want +got):\n%s", row.sent, row.answered, diff)
		}
	}
	s := stream{want: asThePolicyIs, rightOutcomes: c.rightOutcomes}
	if got := s.nameOutcome(allowed, began.Add(20*time.Second), began.Add(21*time.Second)); got != allowed {
		t.Errorf("an order that is denied for long counts as %q", got)
	}
}

// The changer switches its document by the time, and every other change leaves the answers as they are.
func TestPolicyChanges(t *testing.T) {
	c := &policyChanger{dir: t.TempDir(), began: time.Now()}
	const document = "apiVersion: meshpass.dev/v1\n"
	if err := os.WriteFile(filepath.Join(c.dir, "orders.yaml"), []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	exists := func(name string) bool { _, err := os.Stat(filepath.Join(c.dir, name)); return err == nil }
	change := func() {
		t.Helper()
		if err := c.changeOnce(); err != nil {
			t.Fatal(err)
		}
	}
	if change(); !exists("soak.yaml") {
		t.Error("the document is not there at the start")
	}
	change()
	change()
	if text, err := os.ReadFile(filepath.Join(c.dir, "orders.yaml")); err != nil || !strings.HasPrefix(string(text), document) || !strings.Contains(string(text), "# change 3\n") {
		t.Errorf("got %q, %v", text, err)
	}
	if change(); !exists("mistake.yaml") {
		t.Error("no document has a mistake")
	}
	c.began = c.began.Add(-policiesEvery)
	if change(); exists("soak.yaml") {
		t.Error("the document is still there")
	}
	if change(); exists("mistake.yaml") {
		t.Error("the mistake stays")
	}
	if written, switched := c.count(); written != 6 || switched != 2 {
		t.Errorf("%d changes, %d switches", written, switched)
	}
}

// Rates of the streams add up to that of the run.
func TestRates(t *testing.T) {
	streams := []stream{{name: "a", share: 0.6}, {name: "b"}, {name: "c"}}
	if a, b := streams[0].rateOf(100, streams), streams[1].rateOf(100, streams); a != 60 || b != 20 {
		t.Errorf("got %v and %v", a, b)
	}
}

// The longest life of a process counts: its last third may not take more than its first one by more than the bound.
func TestGrowths(t *testing.T) {
	newLife := func(pid, seconds int, value func(second int) Sample) (all []Sample) {
		for i := range seconds {
			s := value(i)
			s.PID = pid
			all = append(all, s)
		}
		return all
	}
	flat := func(int) Sample { return Sample{Resident: 100 << 20, Descriptors: 50, Goroutines: 70} }
	leaks := func(second int) Sample {
		return Sample{Resident: int64(100+2*second) << 20, Descriptors: 50 + 2*second, Goroutines: 70 + 2*second}
	}
	samples := map[string][]Sample{
		"flat":  append(newLife(1, 20, leaks), newLife(2, 60, flat)...),
		"leaks": newLife(3, 60, leaks),
		"short": newLife(4, 20, leaks),
	}
	var steep []string
	growths := findGrowths(samples)
	for _, g := range growths {
		if !g.isFlat() {
			steep = append(steep, g.Process+" "+g.What)
		}
	}
	if diff := cmp.Diff([]string{"leaks resident memory", "leaks descriptors", "leaks goroutines"}, steep); diff != "" || len(growths) != 6 {
		t.Errorf("%v (-want +got):\n%s", growths, diff)
	}
}

// The report names what is wrong and shows each graph.
func TestReport(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "report")
	r := Result{Wrong: []string{"alice: 1 times 403"}, Seconds: 2, Events: []Event{{1, "restart of Redis"}}, Samples: map[string][]Sample{
		"meshpass": {{Seconds: 1, Resident: 1 << 20, Descriptors: 5, Goroutines: 7}, {Seconds: 2, Resident: 2 << 20, Descriptors: 5, Goroutines: 7}},
	}, timed: []timed{{0, time.Millisecond}, {1500 * time.Millisecond, time.Millisecond}}}
	if err := r.WriteReport(dir); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "report.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Soak: failed: 1 problems", "WRONG: alice: 1 times 403", "![Requests](requests.svg)"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	for _, name := range []string{"requests.svg", "latency.svg", "memory.svg", "goroutines.svg", "descriptors.svg", "result.json"} {
		if data, err := os.ReadFile(filepath.Join(dir, name)); err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}
