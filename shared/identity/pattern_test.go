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
