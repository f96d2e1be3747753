package policy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
)

// kind is what a rule does; each kind has its own step.
type kind int

const (
	public    kind = iota // a public entry
	earlyDeny             // on from and to alone, which no token can lift
	lateDeny
	allow
	kinds
)

func (k kind) denies() bool { return k == earlyDeny || k == lateDeny }

// rule is a compiled rule, or public entry. Its paths are not among its
// conditions: they are where the index keeps it.
type rule struct {
	document *compiled
	name     string
	kind     kind
	shadow   bool // by its own mode, or its document's
	order    int  // its place in its document, by name
	place    strictyaml.Position

	patterns []pattern          // of to.paths; none: every path
	admitted escapes            // of to.allowEncoded
	callers  []identity.Pattern // of from.workloads; none: every caller
	hosts    []string           // of to.hosts; none: every host
	fact     fact               // a claim or scope that it wants; zero: none

	outer  []condition // of from and to, which need no token
	inner  []condition // all others
	issued bool        // one of them is from.issuers
	when   *expression // one of them; nil: none
}

// entry is a rule at one of its paths. A rule with several paths is a rule for
// each of them, in whatever order they stand.
type entry struct {
	*rule
	pattern *pattern // nil: every path
}

func (r *rule) entries() []entry {
	if len(r.patterns) == 0 {
		return []entry{{rule: r}}
	}
	all := make([]entry, len(r.patterns))
	for i := range r.patterns {
		all[i] = entry{r, &r.patterns[i]}
	}
	return all
}

// verdict is the conjunction of all conditions, where the index has found the
// path to match.
func (e entry) verdict(s *subject) verdict {
	path, pattern := e.path(s)
	outside := both(path, all(e.outer, pattern, s))
	if outside == no {
		return no
	}
	return both(outside, all(e.inner, pattern, s))
}

// outside is the part of the verdict that needs no token.
func (e entry) outside(s *subject) verdict {
	path, pattern := e.path(s)
	return both(path, all(e.outer, pattern, s))
}

// path gives no pattern where it is not certain what its captures hold.
func (e entry) path(s *subject) (verdict, *pattern) {
	if s.odd == nil {
		return yes, e.pattern
	}
	v := e.oddPath(s)
	if v != yes {
		return v, nil
	}
	return v, e.pattern
}

func compareEntries(a, b entry) int {
	if a.document != b.document {
		return compareDocuments(a.document, b.document)
	}
	return a.order - b.order
}

// compareDocuments tells apart two folders' documents of one name, of which one is
// kept from before.
func compareDocuments(a, b *compiled) int {
	return cmp.Or(strings.Compare(a.name, b.name), strings.Compare(a.folder, b.folder))
}

// compiled is one document, ready to decide.
type compiled struct {
	name, file, folder string
	place              strictyaml.Position
	targets            []identity.Pattern
	shadow             bool
	optional           bool // identity: optional
	outageAllow        bool // onOutage: allow
	guardrail          bool
	rules              []*rule // public entries in their order, then rules by name
	reads              reads
	content            [32]byte // of its file
}

func (r *rule) counts(l level) bool { return !r.shadow || l == watched }

// admits are the escapes that some rule admits in a capture.
func (c *compiled) admits(l level) escapes {
	var all escapes
	for _, r := range c.rules {
		if r.counts(l) {
			all |= r.admitted
		}
	}
	return all
}

// readsHost reports whether the rule looks at the request's host.
func (r *rule) readsHost() bool { return len(r.hosts) > 0 || r.when != nil && r.when.reads.host }

// readsHost reports whether some rule that counts does.
func (c *compiled) readsHost(l level) bool {
	return slices.ContainsFunc(c.rules, func(r *rule) bool { return r.counts(l) && r.readsHost() })
}

func (c *compiled) denies(l level) bool {
	return slices.ContainsFunc(c.rules, func(r *rule) bool { return r.kind.denies() && r.counts(l) })
}
