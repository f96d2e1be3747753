package rbac

import (
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathset"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// compareRules finds what rules of the callees allow and no Tyk policy reaches.
func (x *apiComparison) compareRules() {
	for _, r := range x.rulesOfCallees() {
		if r.Spec().Effect == policy.Deny || isOfEdge(r) {
			continue
		}
		for _, method := range x.methods {
			x.compareRule(r, method)
		}
	}
}

// isOfEdge reports a document that decides in Tyk: it only narrows what Tyk passes on.
func isOfEdge(r *policy.Rule) bool {
	return slices.ContainsFunc(r.Document().Spec().Targets, func(p identity.Pattern) bool { return p.Literal().IsEdge() })
}

func (x *apiComparison) compareRule(r *policy.Rule, method string) {
	row := Row{API: x.api.Title(), Methods: []string{method}, Pattern: nameOf(r), Paths: textsOf(r), IsRule: true, Place: x.placeOf(r)}
	applying := slices.DeleteFunc(slices.Clone(x.callers), func(c rights.Caller) bool { return !x.applies(r, c, method) })
	if len(applying) == 0 {
		if why := x.whyNoCaller(r, method); why != "" {
			row.Who, row.Kind, row.Reason = noCaller, Unreached, why
			x.report.add(row)
			x.routed[r] = true
		}
		return
	}
	if _, seen := x.routed[r]; !seen {
		x.routed[r] = false
	}
	for _, c := range applying {
		x.compareRuleFor(row, r, c, applying)
	}
}

// noCaller replaces the name of a caller if no caller of the input meets the conditions of a rule.
const noCaller = "no policy or key"

func textsOf(r *policy.Rule) (all []string) {
	if len(r.Spec().Paths) == 0 {
		return []string{"/**"}
	}
	for _, p := range r.Spec().Paths {
		all = append(all, p.String())
	}
	return all
}

// applies reports whether a rule may apply to a caller and method at some hop.
func (x *apiComparison) applies(r *policy.Rule, c rights.Caller, method string) bool {
	for _, w := range x.ways {
		for _, ch := range x.chains[w] {
			for _, h := range ch {
				if isTarget(r, h.callee) && isAmong(x.rulesAt(h, c, w, method), r) {
					return true
				}
			}
		}
	}
	return false
}

func (x *apiComparison) rulesAt(h hop, c rights.Caller, w *way, method string) hops.Rules {
	return hops.RulesFor(x.documents, h.callee, x.who(c, w, h), method)
}

func isTarget(r *policy.Rule, callee identity.Workload) bool {
	return slices.ContainsFunc(r.Document().Spec().Targets, func(p identity.Pattern) bool { return p.Match(callee) })
}

func isAmong(rules hops.Rules, r *policy.Rule) bool {
	return slices.ContainsFunc(slices.Concat(rules.Allow, rules.Public), func(other hops.Rule) bool { return other.Rule == r })
}

// whyNoCaller explains a rule that would apply to a caller with all scopes; "": the rule is for other workloads or methods.
func (x *apiComparison) whyNoCaller(r *policy.Rule, method string) string {
	for _, w := range x.ways {
		for _, ch := range x.chains[w] {
			for _, h := range ch {
				if !isTarget(r, h.callee) {
					continue
				}
				who := x.who(rights.Caller{}, w, h)
				who.Anonymous, who.Scopes = false, func([]string) (hops.Verdict, string) { return hops.Yes, "" }
				if !isAmong(hops.RulesFor(x.documents, h.callee, who, method), r) {
					continue
				}
				if x.anyone {
					return "API " + x.api.Title() + " asks for no credential, and the rule needs a token"
				}
				for _, c := range r.Conditions() {
					if scopes, ok := c.(policy.Scopes); ok {
						return fmt.Sprintf("no Tyk policy or key of the input grants the scopes %s", strings.Join(scopes, ", "))
					}
				}
				return "no Tyk policy or key is in the input"
			}
		}
	}
	return ""
}

// compareRuleFor finds the paths of a rule that a caller's tokens may have and that Tyk does not admit for the caller.
func (x *apiComparison) compareRuleFor(row Row, r *policy.Rule, caller rights.Caller, applying []rights.Caller) {
	method := row.Methods[0]
	row.Who = caller.Name
	var own, byOthers, reached *Example
	var conditions []string
	for _, ch := range x.distinctChains() {
		w := x.firstWay(ch)
		b := &builder{cache: x.cache}
		whole := text{}
		clean := b.addClean(whole)
		inRule := b.addRules(whole, []hops.Rule{{Rule: r, Verdict: hops.Yes}})
		verdict, rules := x.addUpstreamChain(b, caller, method, w, ch)
		routed := x.addRouted(b, method)
		admits := x.addReach(b, method, caller)
		var others []reach
		for _, c := range applying {
			if c.Name != caller.Name {
				others = append(others, x.addReach(b, method, c))
			}
		}
		for _, region := range x.explore(&way{}, b, x.api.ListenPath) {
			m := region.Members
			if !clean(m) || inRule(m) == hops.No || verdict(m) == hops.No || !routed(m, method, region.Example) {
				continue
			}
			x.routed[r] = true
			example := &Example{Method: method, Upstream: region.Example, Callee: ch.describe()}
			switch {
			case admits(m, region.Example):
				if reached == nil {
					reached = example
				}
				continue
			case slices.ContainsFunc(others, func(other reach) bool { return other(m, region.Example) }):
				if byOthers == nil {
					byOthers = example
				}
			case own == nil:
				own = example
			}
			for _, condition := range conditionsAt(rules, &way{}, region) {
				if !slices.Contains(conditions, condition) {
					conditions = append(conditions, condition)
				}
			}
		}
	}
	row.Conditions = conditions
	if own == nil && (reached != nil || byOthers != nil) {
		x.reached[row.Place.String()+method] = true
	}
	switch {
	case own != nil && reached == nil && byOthers == nil:
		row.Kind, row.Example, row.Reason = Unreached, own, "no Tyk policy admits a path of the rule"
	case own != nil:
		row.Kind, row.Example, row.Reason = PartlyReached, own, "no Tyk policy admits some paths of the rule"
	case byOthers != nil && x.hasScopes(r, caller):
		row.Kind, row.Example, row.Reason = ReachedByOthers, byOthers, "other policies admit them"
	default:
		return
	}
	x.report.add(row)
}

// hasScopes reports whether a caller has, by its own policies, all scopes that a rule asks for.
func (x *apiComparison) hasScopes(r *policy.Rule, caller rights.Caller) bool {
	for _, condition := range r.Conditions() {
		if scopes, ok := condition.(policy.Scopes); ok && !x.anyone {
			if v, _ := x.scopes.decideAll(x.api, caller, scopes); v != hops.Yes {
				return false
			}
		}
	}
	return true
}

// addRouted adds the condition that some request leads to an upstream path, regardless of rights.
func (x *apiComparison) addRouted(b *builder, method string) func(members []bool, method, upstream string) bool {
	every := pathset.MustParse("^")
	var at []int
	for _, w := range x.ways {
		o := pathset.Operand{Set: every, After: w.upstream.prefix}
		if !w.rest.set.IsEmptySet() {
			o.Set = w.rest.set
		}
		at = append(at, b.add(o))
		x.divideByEndpoints(behindUpstream{w, b}, method)
	}
	return func(m []bool, method, upstream string) bool {
		for i, w := range x.ways {
			if m[at[i]] && x.passes(w, method, upstream) {
				return true
			}
		}
		return false
	}
}

// reach decides whether Tyk passes a caller's requests for an upstream path on.
type reach func(members []bool, upstream string) bool

// addReach adds the ways of a caller to an upstream path.
func (x *apiComparison) addReach(b *builder, method string, caller rights.Caller) reach {
	access := x.accessOf(caller)
	if access.Denied != "" {
		return func([]bool, string) bool { return false }
	}
	type wayReach struct {
		*way
		admitted condition
		rest     condition
	}
	var all []wayReach
	for _, w := range x.ways {
		if !x.admitsVersion(access, w) {
			continue
		}
		behind := behindUpstream{w, b}
		except := behind.add(w.client, w.except)
		rest := func(m []bool) bool { return !m[except] }
		if !w.rest.set.IsEmptySet() {
			at := b.add(pathset.Operand{Set: w.rest.set, After: w.upstream.prefix})
			rest = func(m []bool) bool { return m[at] && !m[except] }
		}
		set := b.cache.parse(x.expressionsFor(x.unitsOf(access), method))
		whole, stripped := behind.add(w.compared, set), -1
		if x.switches().Prefix {
			stripped = behind.add(w.stripped, set)
		}
		all = append(all, wayReach{w, func(m []bool) bool { return m[whole] || stripped >= 0 && m[stripped] }, rest})
	}
	return func(m []bool, upstream string) bool {
		return slices.ContainsFunc(all, func(w wayReach) bool { return w.admitted(m) && w.rest(m) && x.passes(w.way, method, upstream) })
	}
}

// behindUpstream adds operands that see the part of an upstream path behind what a way puts before it.
type behindUpstream struct {
	*way
	*builder
}

func (u behindUpstream) add(t text, set pathset.Set) int {
	o := pathset.Operand{Set: set, Prefix: t.prefix, After: u.way.upstream.prefix}
	if t.beginning {
		o.Within = u.way.beginning
	}
	return u.builder.add(o)
}

func (x *apiComparison) divideByEndpoints(u behindUpstream, method string) {
	inner := &builder{cache: x.cache}
	x.addEndpoints(inner, u.way, method)
	x.addOthers(inner, u.way)
	for _, o := range inner.operands {
		o.After = u.way.upstream.prefix
		if o.Beginning {
			o.Beginning, o.Within = false, u.way.beginning
		}
		u.builder.add(o)
	}
}

// passes asks the router about an upstream path on one way.
func (x *apiComparison) passes(w *way, method, upstream string) bool {
	rest, found := strings.CutPrefix(upstream, w.upstream.prefix)
	if !found {
		return false
	}
	region := pathset.Region{Example: rest}
	if w.client.beginning {
		regions, err := pathset.Explore(pathset.Space{Beginning: w.beginning})
		if err != nil || len(regions) == 0 {
			return false
		}
		region.Beginning = regions[0].Beginning
	}
	answer := x.router.Route(w.request(method, region))
	return answer.Outcome == tykroute.Passed && answer.Serving == x.api && (!answer.Unauthenticated || x.anyone) && len(answer.Upstreams) > 0 && pathOf(answer.Upstreams[0]) == upstream
}

// addUpstreamChain is addChain for the hops that see the upstream's path. A document at the edge sees another one, and only narrows.
func (x *apiComparison) addUpstreamChain(b *builder, caller rights.Caller, method string, w *way, ch chain) (verdict, []hopRules) {
	inMesh := slices.DeleteFunc(slices.Clone(ch), func(h hop) bool { return h.atEdge })
	plain := *w
	plain.upstream = text{}
	return x.addChain(b, caller, method, &plain, inMesh)
}

// distinctChains gives each chain of hops once.
func (x *apiComparison) distinctChains() (all []chain) {
	seen := map[string]bool{}
	for _, w := range x.ways {
		for _, ch := range x.chains[w] {
			if key := ch.describe(); !seen[key] {
				seen[key] = true
				all = append(all, ch)
			}
		}
	}
	return all
}

func (x *apiComparison) firstWay(ch chain) *way {
	for _, w := range x.ways {
		if slices.ContainsFunc(x.chains[w], func(other chain) bool { return other.describe() == ch.describe() }) {
			return w
		}
	}
	return nil
}

// placeOf is the place of a rule in its document.
func (x *comparer) placeOf(r *policy.Rule) objects.Place {
	for _, d := range x.Documents {
		if d.Compiled != r.Document() {
			continue
		}
		for _, n := range d.Spec().Find("rules").Entries() {
			if n.Find("name").String() == r.Spec().Name {
				return n.Place()
			}
		}
		for i, n := range d.Spec().Find("public").Entries() {
			if r.Spec().Name == fmt.Sprintf("public[%d]", i) {
				return n.Place()
			}
		}
		return d.Root.Place()
	}
	return objects.Place{}
}
