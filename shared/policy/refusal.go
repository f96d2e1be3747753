package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// refusal stands for a document that cannot be used and that has no last good
// version. It denies what the document guards, or, where that cannot be read,
// all that the document's folder may target.
type refusal struct {
	name, file, folder string
	scopes             []scope
	guardrail          bool
	shadow             bool // it denies nothing
	empty              bool // it is no file, and holds no document: it denies nothing either
}

// compareRefusals puts guardrails first: their refusals hold where others do not.
func compareRefusals(a, b refusal) int {
	switch {
	case a.guardrail != b.guardrail && a.guardrail:
		return -1
	case a.guardrail != b.guardrail:
		return 1
	}
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.folder, b.folder), strings.Compare(a.file, b.file))
}

// refusal is the first, a guardrail's before others, that guards the workload; nil: none.
func (s *Set) refusal(w identity.Workload) *refusal {
	for i := range s.refused {
		if slices.ContainsFunc(s.refused[i].scopes, func(c scope) bool { return c.match(w) }) {
			return &s.refused[i]
		}
	}
	return nil
}

// scope is a set of called sides: one target, or all below a prefix.
type scope struct {
	pattern identity.Pattern
	below   string // "service/shop/", or "edge/"
	any     bool
}

// CheckScope reports what is wrong with an entry of [Dir].MayTarget.
func CheckScope(text string, domains identity.TrustDomains) error {
	_, err := parseScope(text, domains)
	return err
}

// parseScope reads an entry of mayTarget: a target, service/NAMESPACE/*,
// gateway/*, edge/*, or * for everything.
func parseScope(text string, domains identity.TrustDomains) (scope, error) {
	if text == "*" {
		return scope{any: true}, nil
	}
	prefix, isPrefix := strings.CutSuffix(text, "*")
	kind, namespace, _ := strings.Cut(prefix, "/")
	_, err := identity.ServiceCallee(strings.TrimSuffix(namespace, "/"), "x")
	if isPrefix && (prefix == "gateway/" || prefix == "edge/" || kind == "service" && err == nil && strings.HasSuffix(namespace, "/")) {
		return scope{below: prefix}, nil
	}
	pattern, err := domains.ParseTarget(text)
	if err != nil {
		return scope{}, fmt.Errorf("%w; or service/NAMESPACE/*, gateway/*, edge/*, or * for everything", err)
	}
	return scope{pattern: pattern}, nil
}

func (c scope) match(w identity.Workload) bool {
	return c.any || c.below != "" && strings.HasPrefix(string(w), c.below) || c.pattern.Match(w)
}

func (c scope) covers(p identity.Pattern) bool {
	return c.any || c.below != "" && strings.HasPrefix(string(p.Literal()), c.below) || c.pattern.Covers(p)
}
