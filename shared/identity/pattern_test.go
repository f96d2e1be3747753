package identity_test

import (
	"slices"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

var mesh = identity.TrustDomains{Local: "cluster.local", Aliases: []string{"old.example"}}

func TestPatterns(t *testing.T) {
	workloads := []identity.Workload{
		"", "ns//sa/", "ns/shop/sa/orders", "ns/shop/sa/or.ders", "ns/edge/sa/orders", "spiffe://other.example/ns/shop/sa/orders",
	}
	for _, row := range []struct {
		pattern string
		literal identity.Workload
		matches []identity.Workload
	}{
		{"ns/shop/sa/orders", "ns/shop/sa/orders", []identity.Workload{"ns/shop/sa/orders"}},
		{"ns/shop/sa/or.ders", "ns/shop/sa/or.ders", []identity.Workload{"ns/shop/sa/or.ders"}},
		{"ns/shop/sa/*", "", []identity.Workload{"ns/shop/sa/orders", "ns/shop/sa/or.ders"}},
		{"ns/*/sa/orders", "", []identity.Workload{"ns/shop/sa/orders", "ns/edge/sa/orders"}},
		{"ns/*/sa/*", "", []identity.Workload{"ns/shop/sa/orders", "ns/shop/sa/or.ders", "ns/edge/sa/orders"}},
		{"spiffe://other.example/ns/shop/sa/orders", workloads[5], workloads[5:]},
	} {
		p, err := mesh.ParsePattern(row.pattern)
		if err != nil || p.Literal() != row.literal {
			t.Errorf("%s: literal %q, %v", row.pattern, p.Literal(), err)
		}
		var got []identity.Workload
		for _, w := range workloads {
			if p.Match(w) {
				got = append(got, w)
			}
		}
		if !slices.Equal(got, row.matches) {
			t.Errorf("%s: matches %q, want %q", row.pattern, got, row.matches)
		}
	}
	for _, w := range workloads {
		if (identity.Pattern{}).Match(w) {
			t.Errorf("the zero pattern matches %q", w)
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	for _, text := range []string{
		"", "*", "orders", "ns/shop", "ns/shop/sa/", "ns/shop/sa/or*", "ns/**/sa/x", "ns/Shop/sa/x", "ns/shop/sa/x/y", " ns/shop/sa/x",
		"spiffe://cluster.local/ns/shop/sa/x", "spiffe://old.example/ns/shop/sa/x", "spiffe://", "spiffe://other.example", "spiffe://other.example/*", "spiffe://other.example/ns/shop/sa/x/",
	} {
		if p, err := mesh.ParsePattern(text); err == nil || p != (identity.Pattern{}) {
			t.Errorf("%q: got %v, %v", text, p, err)
		}
	}
}

// An index by MatchingPatterns finds exactly the patterns that match.
func TestPatternsAndCoverage(t *testing.T) {
	texts := []string{"ns/a/sa/b", "ns/a/sa/c", "ns/a/sa/*", "ns/*/sa/b", "ns/*/sa/*", "spiffe://x.example/ns/a/sa/b", "service/a/b", "gateway/b", "edge/b"}
	var patterns []identity.Pattern
	for _, text := range texts {
		p, err := mesh.ParseTarget(text)
		if err != nil || p.String() != text {
			t.Fatalf("%s: got %s, %v", text, p, err)
		}
		patterns = append(patterns, p)
	}
	for _, p := range append(patterns, identity.Pattern{}) {
		for _, q := range patterns {
			w := q.Literal()
			if w == "" {
				continue
			}
			keys := w.MatchingPatterns()
			if got := slices.Contains(keys[:], p) && p != (identity.Pattern{}); got != p.Match(w) || p.Covers(q) != p.Match(w) {
				t.Errorf("%s, %s: indexed %t, matched %t, covered %t", p, w, got, p.Match(w), p.Covers(q))
			}
		}
	}
	for _, row := range []struct {
		p, q int
		want bool
	}{{2, 2, true}, {4, 2, true}, {4, 3, true}, {2, 4, false}, {2, 3, false}, {0, 2, false}, {5, 4, false}, {4, 5, false}} {
		if got := patterns[row.p].Covers(patterns[row.q]); got != row.want {
			t.Errorf("%s covers %s: %t", patterns[row.p], patterns[row.q], got)
		}
	}
	if patterns[4].Covers(identity.Pattern{}) || (identity.Pattern{}).Covers(patterns[0]) {
		t.Error("the zero Pattern covers or is covered")
	}
}

// Overlaps is symmetric: two patterns overlap if one workload matches both.
func TestOverlaps(t *testing.T) {
	for _, row := range []struct {
		one, other string
		want       bool
	}{
		{"ns/shop/sa/orders", "ns/shop/sa/orders", true},
		{"ns/shop/sa/orders", "ns/shop/sa/reports", false},
		{"ns/shop/sa/orders", "ns/shop/sa/*", true},
		{"ns/shop/sa/orders", "ns/edge/sa/*", false},
		{"ns/shop/sa/*", "ns/*/sa/orders", true},
		{"ns/shop/sa/*", "ns/edge/sa/*", false},
		{"ns/*/sa/*", "ns/*/sa/*", true},
		{"spiffe://other.example/ns/shop/sa/orders", "ns/*/sa/*", false},
		{"spiffe://other.example/ns/shop/sa/orders", "spiffe://other.example/ns/shop/sa/orders", true},
	} {
		one, err := mesh.ParsePattern(row.one)
		if err != nil {
			t.Fatal(err)
		}
		other, err := mesh.ParsePattern(row.other)
		if err != nil {
			t.Fatal(err)
		}
		if one.Overlaps(other) != row.want || other.Overlaps(one) != row.want {
			t.Errorf("%s and %s: want %v", row.one, row.other, row.want)
		}
		if one.Overlaps(identity.Pattern{}) || (identity.Pattern{}).Overlaps(one) {
			t.Errorf("%s overlaps the zero pattern", row.one)
		}
	}
}
