package flood

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const megabyte = 1 << 20

func TestBounds(t *testing.T) {
	idle := Figures{Resident: 40 * megabyte, Live: 5 * megabyte, Goroutines: 20, Descriptors: 13, Series: 200}
	memory := limitSum{process: 32 * megabyte, peers: 100 * megabyte}
	for _, row := range []struct {
		name   string
		kind   kind
		memory limitSum
		want   Bounds
	}{
		{"nothing is kept", kind{}, memory, Bounds{Resident: 144 * megabyte, Series: 200, Live: 11 * megabyte, Goroutines: 24, Descriptors: 15}},
		{"tokens are cached", kind{caches: true}, memory, Bounds{Resident: 144 * megabyte, Series: 200, Live: 75 * megabyte, Goroutines: 24, Descriptors: 15}},
		{"pairs are counted", kind{series: 1001}, memory, Bounds{Resident: 144 * megabyte, Series: 1201, Live: 11 * megabyte, Goroutines: 24, Descriptors: 15}},
		{"more than the container has", kind{}, limitSum{peers: 300 * megabyte}, Bounds{Resident: 256 * megabyte, Series: 200, Live: 11 * megabyte, Goroutines: 24, Descriptors: 15}},
	} {
		if diff := cmp.Diff(row.want, row.kind.boundsFrom(idle, row.memory)); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
	}
}

// Each broken bound is named, and so is a flood that did not reach what it floods.
func TestBrokenBounds(t *testing.T) {
	bounds := Bounds{Resident: 100, Series: 10, Live: 50, Goroutines: 8, Descriptors: 6}
	most := Figures{Resident: 100, Series: 10}
	settled := Figures{Live: 50, Goroutines: 8, Descriptors: 6}
	for _, row := range []struct {
		name           string
		highest, after Figures
		outcomes       map[string]int
		want           []string
	}{
		{"all within their bounds", most, settled, map[string]int{"allow": 1}, []string{}},
		{"memory", Figures{Resident: 101}, settled, map[string]int{"allow": 1}, []string{"resident memory: 101, at most 100"}},
		{"series", Figures{Series: 11}, settled, map[string]int{"allow": 1}, []string{"metric series: 11, at most 10"}},
		{"a leak", most, Figures{Live: 51, Goroutines: 9, Descriptors: 7}, map[string]int{"allow": 1}, []string{
			"live memory after the flood: 51, at most 50", "goroutines after the flood: 9, at most 8", "descriptors after the flood: 7, at most 6",
		}},
		{"Checks were shed", most, settled, map[string]int{"allow": 1, "503 overloaded": 9, "403 token_missing": 1}, []string{}},
		{"connections and Checks without an end", most, settled, map[string]int{"allow": 1, "slow: stays open": 2, "slow: accepted": 3, "no answer: Unavailable": 4}, []string{
			"4 times no answer: Unavailable", "3 times slow: accepted", "2 times slow: stays open",
		}},
		{"nothing was decided", most, settled, map[string]int{"503 overloaded": 9}, []string{"never seen: allow"}},
	} {
		r := Result{Highest: row.highest, After: row.after, Outcomes: row.outcomes, Bounds: bounds}
		r.addProblems(kind{want: []string{"allow"}})
		if diff := cmp.Diff(row.want, r.Wrong); diff != "" {
			t.Errorf("%s: %s", row.name, diff)
		}
		if settles := row.after == settled; bounds.hasSettled(row.after) != settles {
			t.Errorf("%s: has settled: %v", row.name, !settles)
		}
	}
}

// A flood that must be denied and is allowed has failed.
func TestAnUnexpectedAllow(t *testing.T) {
	r := Result{Outcomes: map[string]int{"403 kid_unknown": 5, "allow": 1}}
	r.addProblems(kind{want: []string{"403 kid_unknown"}})
	if diff := cmp.Diff([]string{"1 times allow"}, r.Wrong); diff != "" {
		t.Error(diff)
	}
}

// Each variation is a different Check.
func TestVariationsDiffer(t *testing.T) {
	a := &authorizer{dir: t.TempDir()}
	if _, err := a.makeKeys(); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		if k.newCheck == nil {
			continue
		}
		seen := map[string]bool{}
		for n := range int64(50) {
			check, err := k.newCheck(a, n)
			if err != nil {
				t.Fatalf("%s: %v", k.name, err)
			}
			seen[check.String()] = true
		}
		if len(seen) != 50 {
			t.Errorf("%s: %d different Checks of 50", k.name, len(seen))
		}
	}
}
