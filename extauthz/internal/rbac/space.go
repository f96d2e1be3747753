package rbac

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathset"
)

// setCache keeps sets by their expressions.
type setCache map[string]pathset.Set

func (c setCache) parse(expressions []string) pathset.Set {
	key := strings.Join(expressions, "\x00")
	known, found := c[key]
	if !found {
		known = pathset.MustParse(expressions...)
		c[key] = known
	}
	return known
}

// Paths that every hop reads in one way only (shared/policy/path), in their decoded form. Others are left out: hops deny them as ambiguous,
// and Tyk redirects some of them.
var (
	cleanPaths     = []string{`^/$`, `^(/[^/\\%;?#\x00-\x1f\x7f-\x9f]+)+/?$`}
	uncleanPaths   = []string{`(^|/)\.\.?(/|$)`, `/ `, ` (/|$)`}
	cleanSet       = pathset.MustParse(cleanPaths...)
	uncleanSet     = pathset.MustParse(uncleanPaths...)
	surrogateRunes = pathset.MustParse(`[\x{D800}-\x{DFFF}]`)
)

// builder collects the operands of a space.
type builder struct {
	operands []pathset.Operand
	cache    setCache
}

func (b *builder) add(o pathset.Operand) int {
	b.operands = append(b.operands, o)
	return len(b.operands) - 1
}

// condition decides a region by its members.
type condition func(members []bool) bool

// addClean adds the condition that a path can be read in one way only.
func (b *builder) addClean(t text) condition {
	clean, unclean, surrogate := b.add(t.operand(cleanSet)), b.add(t.operand(uncleanSet)), b.add(t.operand(surrogateRunes))
	return func(m []bool) bool { return m[clean] && !m[unclean] && !m[surrogate] }
}

// verdict decides a region in three ways.
type verdict func(members []bool) hops.Verdict

// addRules adds the verdict that some of these rules match.
func (b *builder) addRules(t text, rules []hops.Rule) verdict {
	byVerdict := map[hops.Verdict][]string{}
	for _, r := range rules {
		byVerdict[r.Verdict] = append(byVerdict[r.Verdict], r.Paths()...)
	}
	if len(rules) == 0 {
		return func([]bool) hops.Verdict { return hops.No }
	}
	certain := b.add(t.operand(b.cache.parse(byVerdict[hops.Yes])))
	perhaps := b.add(t.operand(b.cache.parse(byVerdict[hops.Conditional])))
	return func(m []bool) hops.Verdict {
		switch {
		case m[certain]:
			return hops.Yes
		case m[perhaps]:
			return hops.Conditional
		}
		return hops.No
	}
}

// addHop adds the decision of one hop, by the steps of package policy.
func (b *builder) addHop(t text, rules hops.Rules, open bool) verdict {
	if open {
		return func([]bool) hops.Verdict { return hops.Yes }
	}
	public, denyPublic := b.addRules(t, rules.Public), b.addRules(t, rules.DenyPublic)
	allow, deny := b.addRules(t, rules.Allow), b.addRules(t, rules.Deny)
	return func(m []bool) hops.Verdict {
		return max(min(public(m), denyPublic(m).Not()), min(allow(m), deny(m).Not()))
	}
}

// addEndpoints divides the space by the endpoint lists of the API, so that one example shows what Tyk does with a whole region.
func (x *apiComparison) addEndpoints(b *builder, w *way, method string) {
	byKind := map[string][]string{}
	for _, e := range endpointsOf(x.api) {
		if e.method != "" && e.method != method {
			continue
		}
		text := e.pattern
		if !e.isExpression {
			prepared, err := x.switches().Expression(e.pattern)
			if err != nil {
				continue // the router has named it
			}
			text = prepared
		}
		if x.api.IgnoreCase || x.router.Switches.IgnoreCase || e.ignoresCase {
			text = "(?i)" + text
		}
		if _, err := pathset.Parse(text); err == nil {
			byKind[e.kind] = append(byKind[e.kind], text)
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(byKind)) {
		set := b.cache.parse(byKind[kind])
		b.add(w.compared.operand(set))
		b.add(w.stripped.operand(set))
	}
}

// addOthers divides the space by the listen paths and aliases of other APIs that lie in it.
func (x *apiComparison) addOthers(b *builder, w *way) {
	var expressions []string
	for _, a := range x.router.APIs() {
		for _, prefix := range []string{a.ListenPathText(), "/" + a.ID + "/"} {
			if a != w.entry && !strings.Contains(prefix, "{") && strings.HasPrefix(prefix, w.client.prefix) && prefix != w.client.prefix {
				expressions = append(expressions, "^"+regexp.QuoteMeta(prefix))
			}
		}
	}
	if x.router.Switches.ControlPort == 0 {
		expressions = append(expressions, "^/tyk/", "^/"+regexp.QuoteMeta(x.router.Switches.HealthCheck)+"$")
	}
	expressions = append(expressions, `/tyk/rate-limits/$`, `/tyk/batch/$`, `/oauth/`)
	b.add(w.client.operand(b.cache.parse(expressions)))
}
