package policy

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
)

func newTestDocument(t *testing.T, name string, targets ...string) *Document {
	t.Helper()
	head := DocumentSpec{Name: name, Folder: "p"}
	for _, text := range targets {
		target, err := identity.TrustDomains{}.ParseTarget(text)
		if err != nil {
			t.Fatal(err)
		}
		head.Targets = append(head.Targets, target)
	}
	return NewDocument(head, []RuleSpec{{Name: "r", Effect: Deny}})
}

// A change of one document indexes the rules of its targets again, and no others. Overrides and mode stay.
func TestNextSharesUnchangedTargets(t *testing.T) {
	a, b, both := newTestDocument(t, "a", "ns/x/sa/a"), newTestDocument(t, "b", "ns/x/sa/b"), newTestDocument(t, "both", "ns/x/sa/a", "ns/x/sa/b", "ns/x/sa/b")
	overrides := []Override{{Until: time.Unix(1, 0)}}
	first := NewSet([]*Document{a, b}, nil, "1").With(Shadow, overrides)
	target := func(s *Set, d *Document) *targetDocuments { return s.targets[d.spec.Targets[0]] }
	for _, row := range []struct {
		name           string
		documents      []*Document
		sharesA, hasA  bool
		sharesB, hasB  bool
		documentsAtTwo int // that target b
	}{
		{"nothing changed", []*Document{b, a}, true, true, true, true, 1},
		{"a is another version", []*Document{newTestDocument(t, "a", "ns/x/sa/a"), b}, false, true, true, true, 1},
		{"a is gone", []*Document{b}, false, false, true, true, 1},
		{"a third one", []*Document{a, b, both}, false, true, false, true, 2},
	} {
		next := first.Next(row.documents, nil, "2")
		if got := target(next, a) == target(first, a); got != row.sharesA || (target(next, a) != nil) != row.hasA {
			t.Errorf("%s: a shares: %t", row.name, got)
		}
		if got := target(next, b) == target(first, b); got != row.sharesB || len(target(next, b).documents) != row.documentsAtTwo {
			t.Errorf("%s: b shares: %t, %d documents", row.name, got, len(target(next, b).documents))
		}
		if next.unguarded != Shadow || len(next.overrides) != 1 || next.Generation() != "2" {
			t.Errorf("%s: %+v", row.name, next)
		}
	}
}

// A document for many workloads guards them after a change of another document too.
func TestNextFindsWildcards(t *testing.T) {
	all, one := newTestDocument(t, "all", "ns/x/sa/*"), newTestDocument(t, "one", "ns/y/sa/b")
	set := NewSet([]*Document{all}, nil, "1")
	for i, documents := range [][]*Document{{all, one}, {one}, {one, all}} {
		set = set.Next(documents, nil, "2")
		guarded := set.documentsFor("ns/x/sa/a").summary[enforced].hasDocuments
		if want := len(documents) == 2; guarded != want {
			t.Errorf("%d: guarded is %t, want %t", i, guarded, want)
		}
	}
}
