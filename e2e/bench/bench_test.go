package bench_test

import (
	"context"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/bench"
)

// newGroup has rows whose values are scripted, one for each round.
func newGroup(ended *int) bench.Group {
	values := func(all ...float64) func(context.Context, bench.Round) (float64, error) {
		return func(_ context.Context, r bench.Round) (float64, error) { return all[r.Number], nil }
	}
	return bench.Group{
		Name: "g",
		Start: func(context.Context, bench.Round) (func() error, error) {
			return func() error { *ended++; return nil }, nil
		},
		Rows: []bench.Row{
			{Name: "base", Unit: "µs", Measure: values(10, 20, 40)},
			{Name: "helper", Unit: "µs", Measure: values(10, 20, 10), Helper: true},
			{Name: "slow", Unit: "µs", Measure: values(40, 80, 150), Base: []string{"base", "helper"}, Target: bench.Target{AtMost: 2}},
			{Name: "fast", Unit: "/s", Measure: values(9, 16, 39), Base: []string{"base"}, Target: bench.Target{AtLeast: 0.9}},
			{Name: "less", Unit: "µs", Measure: values(15, 25, 20), Base: []string{"helper"}, Minus: []string{"base"}},
			{Name: "once", Unit: "MiB", Measure: values(5), Once: true, Target: bench.Target{AtMost: 4}},
		},
	}
}

func run(t *testing.T, rows string, groups ...bench.Group) (bench.Result, error) {
	t.Helper()
	return bench.Run(t.Context(), groups, bench.Options{Rows: regexp.MustCompile(rows), Rounds: 3, Progress: io.Discard})
}

// A row is compared with its base of the same round, and the median decides about its target.
func TestRatios(t *testing.T) {
	ended := 0
	got, err := run(t, "", newGroup(&ended))
	if err != nil || ended != 1 {
		t.Fatalf("%v, ended %d times", err, ended)
	}
	ratios := map[string]bench.Spread{}
	for _, row := range got.Rows {
		if row.Ratio != nil {
			ratios[row.Name] = *row.Ratio
		}
	}
	for name, want := range map[string]bench.Spread{
		"g/slow": {Median: 2, Low: 2, High: 3}, "g/fast": {Median: 0.9, Low: 0.8, High: 0.975}, "g/less": {Median: 0.25, Low: -2, High: 0.5},
	} {
		if ratios[name] != want {
			t.Errorf("%s: got %+v, want %+v", name, ratios[name], want)
		}
	}
	if missed := got.MissedRows(); !slices.Equal(missed, []string{"g/once"}) {
		t.Errorf("missed: %q", missed)
	}
	var table strings.Builder
	if err := got.Print(&table); err != nil || !strings.Contains(table.String(), "MISSED") {
		t.Errorf("%v\n%s", err, &table)
	}
}

// Rows that others are compared with are measured with them, and helpers only then.
func TestSelectedRows(t *testing.T) {
	for rows, want := range map[string]string{
		"": "base helper slow fast less once", "g/slow": "base helper slow", "fast$": "base fast", "once|helper": "once", "base": "base",
	} {
		ended := 0
		got, err := run(t, rows, newGroup(&ended))
		var names []string
		for _, row := range got.Rows {
			names = append(names, strings.TrimPrefix(row.Name, "g/"))
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%q: got %q, %v", rows, names, err)
		}
	}
	if _, err := run(t, "nothing", newGroup(new(int))); err == nil || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("no row: %v", err)
	}
}

// A group that fails ends, is named in the error, and does not keep others from being measured.
func TestAFailingGroup(t *testing.T) {
	cause := errors.New("broken")
	ended := 0
	failing := newGroup(&ended)
	failing.Name = "failing"
	failing.Rows[0].Measure = func(context.Context, bench.Round) (float64, error) { return 0, cause }
	got, err := run(t, "", failing, newGroup(&ended))
	if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "failing: base: ") || len(got.Rows) != 6 || ended != 2 {
		t.Errorf("got %v, %d rows, ended %d times", err, len(got.Rows), ended)
	}
	failing.Start = func(context.Context, bench.Round) (func() error, error) { return nil, cause }
	if _, err := run(t, "", failing); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

// Rows of other projects are measured only if they are asked for.
func TestPeers(t *testing.T) {
	peers := newGroup(new(int))
	peers.Peers, peers.NotRun = true, []string{"g/other: it is not built"}
	if _, err := run(t, "", peers); err == nil {
		t.Error("they are measured")
	}
	got, err := bench.Run(t.Context(), []bench.Group{peers}, bench.Options{Rounds: 1, Peers: true, Progress: io.Discard})
	if err != nil || len(got.Rows) != 6 {
		t.Errorf("%v, %d rows", err, len(got.Rows))
	}
	var table strings.Builder
	if err := got.Print(&table); err != nil || !strings.HasSuffix(table.String(), "\nNOT RUN: g/other: it is not built\n") {
		t.Errorf("%v\n%s", err, &table)
	}
}
