// Package rbac lays what Tyk policies and keys admit beside what AccessPolicies allow, on the paths that upstreams get: which grants no hop
// allows, and which rules no Tyk policy reaches. It compares sets of paths, not samples, and asks tykroute for each example.
package rbac

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Options complete what the input does not have.
type Options struct {
	Callees  map[string][]string // workloads by API id
	Gateway  string              // the workload of the gateway; "": that of the plugin's file
	Accepted []Kind              // that are no fault
	Progress func(done, all int) // is called after each API
}

// standardMethods are those of RFC 9110 and RFC 5789 that Tyk forwards.
var standardMethods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

// comparer has everything that a comparison looks at.
type comparer struct {
	*model.Model
	input     rights.Input
	documents []*policy.Document
	callers   []rights.Caller
	finder    calleeFinder
	scopes    scopeGrants
	gateway   identity.Workload
	issuer    string
	cache     setCache
	routers   []*tykroute.Router
	routed    map[*policy.Rule]bool // rules that apply to callers, and whether a request can have one of their paths
	reached   map[string]bool       // places of rules with a method whose paths one API reaches
	methods   []string              // beside those that rights and rules name
	report    *Report
	unsure    map[string]bool // reasons that were recorded
}

// Compare compares everything that was read. The error is for options that name no workload.
func Compare(set *objects.Set, o Options) (Report, error) {
	c, err := newComparer(set, o)
	if err != nil {
		return Report{}, err
	}
	c.compareAll(o.Progress)
	if len(c.Documents) == 0 {
		set.AddNote("no AccessPolicy is in the input")
	}
	c.checkRightsOfUnknownAPIs()
	c.report.finish(set, o.Accepted)
	return *c.report, nil
}

// compareAll compares every API, and records what leaves a routing undetermined.
func (c *comparer) compareAll(progress func(done, all int)) {
	all, done := 0, 0
	for _, r := range c.routers {
		all += len(r.APIs())
		for _, problem := range r.Problems {
			c.addUnchecked(problem.Place, problem.Reason)
		}
	}
	for _, r := range c.routers {
		for _, a := range r.APIs() {
			c.compareAPI(r, a)
			done++
			if progress != nil {
				progress(done, all)
			}
		}
	}
	for i := range c.report.Rows { // a rule that callers of one API reach is not unreached at another API
		row := &c.report.Rows[i]
		if row.IsRule && (row.Kind == Unreached || row.Kind == PartlyReached) && !slices.ContainsFunc(row.Methods, func(m string) bool { return !c.reached[row.Place.String()+m] }) {
			row.Kind, row.Reason = ReachedByOthers, "callers of another API reach them"
		}
	}
	for r, routed := range c.routed {
		if !routed {
			c.report.add(Row{Who: noCaller, API: "any", Kind: Unreached, IsRule: true, Pattern: nameOf(r), Paths: textsOf(r), Reason: "no API leads to a path of the rule", Place: c.placeOf(r)})
		}
	}
}

func newComparer(set *objects.Set, o Options) (*comparer, error) {
	m := model.New(set)
	c := &comparer{Model: m, input: rights.Read(m), report: &Report{}, unsure: map[string]bool{}, cache: setCache{}, routed: map[*policy.Rule]bool{}, reached: map[string]bool{}, routers: tykroute.NewRouters(m), methods: standardMethods}
	if len(m.APIs) == 0 {
		set.AddMissing("API definition of Tyk")
	}
	for _, d := range m.Documents {
		c.documents = append(c.documents, d.Compiled)
	}
	c.callers = findCallers(m, c.input)
	c.scopes = scopeGrants{Model: m, input: c.input}
	named := map[string][]identity.Workload{}
	for api, texts := range o.Callees {
		if m.FindAPI(api) == nil {
			return nil, fmt.Errorf("--callee %s: no definition of the input has the id %s", api, api)
		}
		for _, text := range texts {
			w, err := parseWorkload(m.Domains(), text)
			if err != nil {
				return nil, fmt.Errorf("--callee %s=%s: %w", api, text, err)
			}
			named[api] = append(named[api], w)
		}
	}
	c.finder = calleeFinder{Model: m, documents: c.documents, named: named}
	if err := c.findGateway(o.Gateway); err != nil {
		return nil, err
	}
	return c, nil
}

func parseWorkload(domains identity.TrustDomains, text string) (identity.Workload, error) {
	if strings.HasPrefix(text, "spiffe://") {
		return domains.ParseWorkload(text)
	}
	pattern, err := domains.ParseTarget(text)
	if err != nil {
		return "", err
	}
	if pattern.Literal() == "" {
		return "", errors.New("want the name of one workload, without *")
	}
	return pattern.Literal(), nil
}

// findGateway finds the workload that calls and the issuer of its tokens.
func (c *comparer) findGateway(named string) error {
	for i, p := range c.Plugins {
		if i == 0 {
			c.issuer = p.Config.Issuer
		} else if p.Config.Issuer != c.issuer {
			c.issuer = ""
		}
	}
	if named == "" && len(c.Plugins) == 1 {
		named = c.Plugins[0].Config.Workload
	}
	if named == "" {
		return nil
	}
	domains := c.Domains()
	if id, isID := strings.CutPrefix(named, "spiffe://"); isID && len(c.Authorizers) == 0 {
		domains.Local, _, _ = strings.Cut(id, "/") // nothing else names the mesh's own domain
	}
	w, err := parseWorkload(domains, named)
	if err != nil {
		return fmt.Errorf("the gateway's workload %s: %w", named, err)
	}
	c.gateway = w
	return nil
}

func (c *comparer) addUnchecked(at *objects.Node, reason string) {
	place := objects.Place{}
	if at != nil {
		place = at.Place()
	}
	if key := place.String() + reason; !c.unsure[key] {
		c.unsure[key] = true
		c.Set.Unchecked = append(c.Set.Unchecked, objects.Unchecked{Place: place, Reason: reason})
	}
}

// checkRightsOfUnknownAPIs names rights that no definition of the input has: nothing of them can be compared.
func (c *comparer) checkRightsOfUnknownAPIs() {
	look := func(who string, all map[string]rights.Right) {
		for _, id := range slices.Sorted(maps.Keys(all)) {
			if c.FindAPI(id) == nil {
				c.addUnchecked(all[id].Node, fmt.Sprintf("%s has rights for the API %q, and no definition of the input has this id", who, id))
			}
		}
	}
	for _, id := range c.input.Order {
		look("policy "+id, c.input.Policies[id].Rights)
	}
	for _, key := range c.input.Keys {
		look("key "+key.Name, key.Rights)
	}
}

// apiComparison is the comparison of one API.
type apiComparison struct {
	*comparer
	router  *tykroute.Router
	api     *model.API
	org     string
	ways    []*way
	chains  map[*way][]chain
	methods []string
	callers []rights.Caller
	anyone  bool // the API asks for no credential
}

func (c *comparer) compareAPI(r *tykroute.Router, a *model.API) {
	x := c.prepareAPI(r, a)
	if x == nil {
		return
	}
	for _, caller := range x.callers {
		x.compareGrants(caller)
	}
	x.compareRules()
}

// prepareAPI finds the ways and hops of an API. It gives nil, and records why, if they cannot be compared.
func (c *comparer) prepareAPI(r *tykroute.Router, a *model.API) *apiComparison {
	if a.IsCanary() {
		return nil // the plugin answers it
	}
	x := &apiComparison{comparer: c, router: r, api: a, chains: map[*way][]chain{}, callers: c.callers, anyone: a.Keyless}
	x.org = a.Root.FindFold("org_id").String()
	if a.Form == model.OpenAPI {
		x.org = a.Root.FindFold("info", "orgId").String()
	}
	x.ways = waysTo(a, r)
	switch {
	case a.Discovery != nil:
		c.addUnchecked(a.Discovery, fmt.Sprintf("API %s: service discovery finds its hosts while the gateway runs", a.Title()))
		return nil
	case len(x.ways) == 0 && a.Internal:
		c.report.addNote(fmt.Sprintf("API %s is internal: no client reaches it by itself, and internal loops are not followed", a.Title()))
		return nil
	case len(x.ways) == 0:
		c.addUnchecked(a.Root, fmt.Sprintf("API %s: it has no target that can be compared", a.Title()))
		return nil
	}
	for _, w := range x.ways {
		chains, err := c.finder.find(a, w.target)
		if err != nil {
			c.addUnchecked(a.ListenPath, err.Error())
			return nil
		}
		x.chains[w] = chains
	}
	if x.anyone {
		x.callers = []rights.Caller{{Name: anyone}}
	}
	if !x.checkPatterns() {
		return nil
	}
	x.methods = x.findMethods()
	return x
}

// anyone is the name of the caller of an API that asks for no credential.
const anyone = "anyone, without a credential"

// checkPatterns names patterns that are no regular expressions, of endpoint lists and of rights.
func (x *apiComparison) checkPatterns() bool {
	valid := true
	for _, caller := range x.callers {
		access := x.accessOf(caller)
		for _, g := range access.Grants {
			if _, err := x.switches().Expression(g.URL); err != nil {
				x.addUnchecked(g.Node, fmt.Sprintf("the allowed URL %q is no regular expression: %s: Tyk passes over it", g.URL, strings.TrimPrefix(err.Error(), "error parsing regexp: ")))
			}
		}
	}
	for _, e := range x.api.Endpoints {
		if _, err := x.switches().Expression(e.Pattern); err != nil && !e.Regex {
			valid = false // the router has named it: Tyk aborts each request
		}
	}
	return valid
}

func (x *apiComparison) switches() rights.Switches {
	return rights.Switches{Prefix: x.router.Switches.PrefixMatching, Suffix: x.router.Switches.SuffixMatching}
}

func (x *apiComparison) accessOf(c rights.Caller) rights.Access {
	if x.anyone {
		return rights.Access{}
	}
	return c.On(x.api.ID, x.org, x.input)
}

// findMethods collects the methods that rights and rules name, beside the usual ones.
func (x *apiComparison) findMethods() []string {
	all := slices.Clone(x.comparer.methods)
	add := func(more []string) {
		for _, m := range more {
			if m != "" && !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	for _, caller := range x.callers {
		for _, g := range x.accessOf(caller).Grants {
			add(g.Methods)
		}
	}
	for _, r := range x.rulesOfCallees() {
		for _, c := range r.Conditions() {
			if methods, ok := c.(policy.Methods); ok {
				add(methods)
			}
		}
	}
	return all
}

// rulesOfCallees gives the rules of all documents that decide requests of the API.
func (x *apiComparison) rulesOfCallees() (all []*policy.Rule) {
	seen := map[*policy.Document]bool{}
	for _, w := range x.ways {
		for _, ch := range x.chains[w] {
			for _, h := range ch {
				for _, d := range x.documents {
					if d.Spec().Shadow || seen[d] || !slices.ContainsFunc(d.Spec().Targets, func(p identity.Pattern) bool { return p.Match(h.callee) }) {
						continue
					}
					seen[d] = true
					all = append(all, d.Rules()...)
				}
			}
		}
	}
	return slices.DeleteFunc(all, func(r *policy.Rule) bool { return r.Spec().Shadow })
}

// who is what is known of a caller at a hop.
func (x *apiComparison) who(caller rights.Caller, w *way, h hop) hops.Who {
	who := hops.Who{
		Anonymous: x.anyone, Issuer: x.issuer, Gateway: x.gateway, AtEdge: h.atEdge,
		Scopes: func(wanted []string) (hops.Verdict, string) { return x.scopes.decideAll(x.api, caller, wanted) },
	}
	if !w.keepsHost && !h.atEdge {
		who.Host = w.target.Host
	}
	return who
}
