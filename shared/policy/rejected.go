package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// RejectedDocument is a document that was rejected and has no last good version, or a
// file or folder that cannot be read. Requests to all of its targets are denied.
type RejectedDocument struct {
	Name, File, Folder string // Name is the file's or folder's where the document's is not known
	Targets            []CalleeSet
	Guardrail          bool // by its folder
}

// CalleeSet is a set of callees: one target, or all below a prefix. The zero CalleeSet is
// empty.
type CalleeSet struct {
	Target identity.Pattern
	Prefix string // "service/shop/", "gateway/" or "edge/"; empty: Target alone
	All    bool
}

// Contains reports whether the workload is in the set.
func (c CalleeSet) Contains(w identity.Workload) bool {
	return c.All || c.Prefix != "" && strings.HasPrefix(string(w), c.Prefix) || c.Target.Match(w)
}

// Covers reports whether all workloads that the pattern matches are in the set.
func (c CalleeSet) Covers(p identity.Pattern) bool {
	return c.All || c.Prefix != "" && strings.HasPrefix(string(p.Literal()), c.Prefix) || c.Target.Covers(p)
}

// compareRejected puts guardrails first: their denials hold where those of others do not.
func compareRejected(a, b RejectedDocument) int {
	switch {
	case a.Guardrail != b.Guardrail && a.Guardrail:
		return -1
	case a.Guardrail != b.Guardrail:
		return 1
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Folder, b.Folder), strings.Compare(a.File, b.File))
}

// rejectedFor is the first rejected document that guards the workload, a guardrail before
// others; nil: no rejected document does.
func (s *Set) rejectedFor(w identity.Workload) *RejectedDocument {
	for i := range s.rejected {
		if slices.ContainsFunc(s.rejected[i].Targets, func(c CalleeSet) bool { return c.Contains(w) }) {
			return &s.rejected[i]
		}
	}
	return nil
}

func (r *RejectedDocument) denyRequest() decision.Decision {
	d := decision.Deny(decision.PolicyRefused).By(r.Name, "")
	d.Folder = r.Folder
	return d
}
