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
	"github.com/meshpass/meshpass/shared/policy"
)

// unit is one entry of allowed_urls, or the right to the whole API.
type unit struct {
	grant *rights.Grant // nil: every path and method
	node  *objects.Node
}

func (u unit) pattern() string {
	if u.grant == nil {
		return everyPath
	}
	return u.grant.URL
}

// everyPath is the pattern of a right without URLs.
const everyPath = "every path"

func (u unit) admits(method string) bool {
	return u.grant == nil || slices.Contains(u.grant.Methods, method)
}

// unitsOf gives the units of a caller's access.
func (x *apiComparison) unitsOf(a rights.Access) (all []unit) {
	if len(a.Grants) == 0 {
		node := a.Node
		if node == nil {
			node = x.api.Root
		}
		return []unit{{node: node}}
	}
	for i := range a.Grants {
		all = append(all, unit{grant: &a.Grants[i], node: a.Grants[i].Node})
	}
	return all
}

// expressionsFor are the expressions of the units that admit a method. A pattern that is no expression admits nothing.
func (x *apiComparison) expressionsFor(units []unit, method string) (all []string) {
	for _, u := range units {
		if !u.admits(method) {
			continue
		}
		if u.grant == nil {
			return []string{"^"}
		}
		if text, err := x.switches().Expression(u.grant.URL); err == nil {
			all = append(all, text)
		}
	}
	return all
}

// addGrant adds the condition that Tyk's rights admit a path.
func (x *apiComparison) addGrant(b *builder, w *way, expressions []string) condition {
	set := b.cache.parse(expressions)
	whole := b.add(w.compared.operand(set))
	if !x.switches().Prefix {
		return func(m []bool) bool { return m[whole] }
	}
	stripped := b.add(w.stripped.operand(set))
	return func(m []bool) bool { return m[whole] || m[stripped] }
}

// compareGrants compares each unit of a caller with the hops.
func (x *apiComparison) compareGrants(caller rights.Caller) {
	access := x.accessOf(caller)
	for _, note := range access.Notes {
		x.report.addNote(caller.Name + ": " + note)
	}
	if access.Denied != "" {
		if !access.LacksRight() {
			x.report.addNote(fmt.Sprintf("%s at API %s: Tyk denies every request: %s", caller.Name, x.api.Title(), access.Denied))
		}
		return
	}
	for _, u := range x.unitsOf(access) {
		for _, method := range x.methods {
			if u.admits(method) {
				x.compareUnit(caller, access, u, method)
			}
		}
		if u.grant != nil && len(u.grant.Methods) == 0 {
			x.report.add(Row{Who: caller.Name, API: x.api.Title(), Kind: Void, Pattern: u.pattern(), Reason: "it lists no method: Tyk admits nothing by it", Place: u.node.Place()})
		}
	}
}

// admitsVersion reports whether rights admit the version of a way. With fallback_to_default, the right for the default version admits each one
// (mw_access_rights.go).
func (x *apiComparison) admitsVersion(a rights.Access, w *way) bool {
	if w.version == "" || x.anyone || slices.Contains(a.Versions, w.version) {
		return true
	}
	byDefault := w.entry.Root.FindFold("version_data", "default_version").String()
	return w.entry.Root.FindFold("definition", "fallback_to_default").IsTrue() && slices.Contains(a.Versions, byDefault)
}

// found is what a unit admits, with an example of each verdict.
type found struct {
	examples map[hops.Verdict]*Example
	why      map[hops.Verdict]string
	details  []string // conditions
}

func (x *apiComparison) compareUnit(caller rights.Caller, access rights.Access, u unit, method string) {
	byListenPath, byAlias := found{}, found{}
	for _, w := range x.ways {
		if !x.admitsVersion(access, w) {
			continue
		}
		into := &byListenPath
		if w.alias {
			into = &byAlias
		}
		for _, ch := range x.chains[w] {
			x.exploreUnit(into, caller, u, method, w, ch)
		}
	}
	row := Row{Who: caller.Name, API: x.api.Title(), Methods: []string{method}, Pattern: u.pattern(), Place: u.node.Place()}
	x.report.add(byListenPath.describe(row))
	if byAlias.examples[hops.No] != nil {
		row.Alias = true
		row = byAlias.describe(row)
		row.Kind = Wider
		x.report.add(row)
	}
}

func (f *found) describe(row Row) Row {
	no, maybe, yes := f.examples[hops.No], f.examples[hops.Conditional], f.examples[hops.Yes]
	switch {
	case no != nil && maybe == nil && yes == nil:
		row.Kind, row.Example, row.Reason = Dead, no, f.why[hops.No]
	case no != nil:
		row.Kind, row.Example, row.Reason = Wider, no, f.why[hops.No]
	case maybe != nil:
		row.Kind, row.Example = ConditionalGrant, maybe
	case yes != nil:
		row.Kind, row.Example = Agreed, yes
	default:
		row.Kind, row.Reason = Void, "Tyk passes no request on by it"
	}
	if maybe != nil {
		row.Conditions = f.details
	}
	return row
}

// exploreUnit finds the regions that a unit admits on one way to one chain of hops.
func (x *apiComparison) exploreUnit(into *found, caller rights.Caller, u unit, method string, w *way, ch chain) {
	b := &builder{cache: x.cache}
	clean, cleanAbove := b.addClean(w.client), b.addClean(w.upstream)
	admitted := x.addGrant(b, w, x.expressionsFor([]unit{u}, method))
	inRest := x.addRest(b, w)
	verdict, rules := x.addChain(b, caller, method, w, ch)
	x.addEndpoints(b, w, method)
	x.addOthers(b, w)
	for _, r := range x.explore(w, b, u.node) {
		if !admitted(r.Members) || !clean(r.Members) || !cleanAbove(r.Members) || !inRest(r.Members) || !x.isPassed(w, method, r) {
			continue
		}
		v := verdict(r.Members)
		if into.examples == nil {
			into.examples, into.why = map[hops.Verdict]*Example{}, map[hops.Verdict]string{}
		}
		if v == hops.Conditional {
			for _, text := range conditionsAt(rules, w, r) {
				if !slices.Contains(into.details, text) {
					into.details = append(into.details, text)
				}
			}
		}
		if into.examples[v] == nil {
			into.examples[v] = &Example{Method: method, Client: w.clientPath(r), Upstream: w.upstreamPath(r), Version: w.version, Callee: ch.describe()}
			if v == hops.No {
				into.why[v] = whyDenied(rules, w, r)
			}
		}
	}
}

// addRest adds the condition that a path belongs to the way.
func (x *apiComparison) addRest(b *builder, w *way) condition {
	except := b.add(w.client.operand(w.except))
	if w.rest.set.IsEmptySet() {
		return func(m []bool) bool { return !m[except] }
	}
	at := b.add(pathset.Operand{Set: w.rest.set})
	return func(m []bool) bool { return m[at] && !m[except] }
}

// explore gives no region if the patterns are too complex, and records that.
func (x *apiComparison) explore(w *way, b *builder, at *objects.Node) []pathset.Region {
	regions, err := pathset.Explore(pathset.Space{Beginning: w.beginning, Operands: b.operands})
	if err != nil {
		x.addUnchecked(at, fmt.Sprintf("API %s: %v", x.api.Title(), err))
		return nil
	}
	return regions
}

// hopRules are the rules of one hop.
type hopRules struct {
	hop
	hops.Rules
}

// addChain adds the decision of all hops of a chain.
func (x *apiComparison) addChain(b *builder, caller rights.Caller, method string, w *way, ch chain) (verdict, []hopRules) {
	var verdicts []verdict
	var all []hopRules
	for _, h := range ch {
		rules := hops.RulesFor(x.documents, h.callee, x.who(caller, w, h), method)
		all = append(all, hopRules{h, rules})
		verdicts = append(verdicts, b.addHop(w.textAt(h), rules, h.open))
	}
	return func(m []bool) hops.Verdict {
		result := hops.Yes
		for _, v := range verdicts {
			result = min(result, v(m))
		}
		return result
	}, all
}

// textAt is what precedes the rest in the path that a hop sees.
func (w *way) textAt(h hop) text {
	if h.atEdge {
		return w.compared
	}
	return w.upstream
}

// isPassed asks the router what Tyk does with the example of a region. It records what cannot be compared.
func (x *apiComparison) isPassed(w *way, method string, r pathset.Region) bool {
	answer := x.router.Route(w.request(method, r))
	switch {
	case answer.Outcome == tykroute.Unknown:
		x.addUnchecked(answer.Place, fmt.Sprintf("API %s: %s %s: %s", x.api.Title(), method, w.clientPath(r), answer.Reason))
		return false
	case answer.Outcome != tykroute.Passed || answer.Serving != x.api:
		return false
	case answer.Unauthenticated && !x.anyone:
		x.report.addNote(fmt.Sprintf("API %s: %s %s needs no credential (an ignored endpoint): it is no part of the comparison", x.api.Title(), method, w.clientPath(r)))
		return false
	}
	for _, up := range answer.Upstreams {
		if pathOf(up) != w.upstreamPath(r) || up.Method != method {
			if key := "rewriting of " + x.api.Title(); !x.unsure[key] {
				x.unsure[key] = true
				x.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: rewriting changes requests, such as %s %s, which goes to %s %s: they are not compared", x.api.Title(), method, w.clientPath(r), up.Method, pathOf(up)))
			}
			return false
		}
	}
	return true
}

// pathOf is the decoded path that an upstream gets.
func pathOf(up tykroute.Upstream) string {
	if up.URL.Path == "" {
		return "/"
	}
	return up.URL.Path
}

// whyDenied explains why the hops deny the example of a region.
func whyDenied(all []hopRules, w *way, r pathset.Region) string {
	for _, h := range all {
		path := w.textAt(h.hop).join(r)
		where := string(h.callee) + ": "
		switch {
		case h.open:
			continue
		case h.Unguarded:
			return where + "no document targets it (unguarded)"
		}
		for _, rule := range h.Deny {
			if rule.Verdict == hops.Yes && matchesPath(rule.Rule, path) {
				return where + "rule " + nameOf(rule.Rule) + " denies it"
			}
		}
		if slices.ContainsFunc(slices.Concat(h.Allow, h.Public), func(rule hops.Rule) bool { return matchesPath(rule.Rule, path) }) {
			continue
		}
		for _, e := range h.Excluded {
			if e.Spec().Effect != policy.Deny && matchesPath(e.Rule, path) && !strings.HasPrefix(e.Why, "to.methods") {
				return where + "rule " + nameOf(e.Rule) + " does not apply: " + e.Why
			}
		}
		return where + "no rule allows it (no_rule)"
	}
	return "a hop denies it"
}

// conditionsAt gives what decides the example of a region.
func conditionsAt(all []hopRules, w *way, r pathset.Region) (texts []string) {
	for _, h := range all {
		path := w.textAt(h.hop).join(r)
		for _, rule := range slices.Concat(h.Allow, h.Public, h.Deny) {
			if rule.Verdict == hops.Conditional && matchesPath(rule.Rule, path) {
				texts = append(texts, fmt.Sprintf("%s %s: %s", rule.Spec().Effect, nameOf(rule.Rule), strings.Join(rule.Conditions, "; ")))
			}
		}
	}
	return texts
}

// nameOf is DOCUMENT/RULE.
func nameOf(r *policy.Rule) string { return r.Document().Spec().Name + "/" + r.Spec().Name }

// matchesPath decides as the engine does, on a decoded path.
func matchesPath(r *policy.Rule, decoded string) bool { return hops.Matches(r, decoded) }
