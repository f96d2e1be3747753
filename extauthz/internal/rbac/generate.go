package rbac

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/pathbox"
	"github.com/meshpass/meshpass/extauthz/internal/rbac/rights"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/path"
)

// GenerateOptions complete what is generated.
type GenerateOptions struct {
	Options
	Roles   map[string][]string // scopes by the id of a Tyk policy; empty: those of the plugin's file, else one role for each scope
	Methods []string            // beside the usual ones, for rules without methods
}

// TykPolicy is a policy in the form of policies.json. It sets rights alone (partitions.acl): limits belong to other policies or to keys.
type TykPolicy struct {
	ID         string              `json:"id"`
	Name       string              `json:"name"`
	Org        string              `json:"org_id"`
	Active     bool                `json:"active"`
	Partitions TykPartitions       `json:"partitions"`
	Rights     map[string]TykRight `json:"access_rights"`
}

// TykPartitions are the parts that a policy sets.
type TykPartitions struct {
	ACL bool `json:"acl"`
}

// TykRight is a right for one API.
type TykRight struct {
	ID          string      `json:"api_id"`
	Name        string      `json:"api_name"`
	Versions    []string    `json:"versions"`
	AllowedURLs []TykAccess `json:"allowed_urls"`
}

// TykAccess is an entry of allowed_urls.
type TykAccess struct {
	URL     string   `json:"url"`
	Methods []string `json:"methods"`
}

// Differences are what generated rights admit beyond the rules, and what they leave out.
type Differences struct {
	Wider     []Row               `json:"wider"`    // Tyk admits it, and a hop denies it, or decides by the request
	Narrower  []Row               `json:"narrower"` // a hop allows it, and Tyk does not admit it
	Notes     []string            `json:"notes"`
	Unchecked []objects.Unchecked `json:"refused"` // parts that cannot be expressed or read: nothing is written
}

// GeneratedPolicies are Tyk policies by id.
type GeneratedPolicies struct {
	Policies map[string]TykPolicy `json:"policies"`
	Scopes   map[string][]string  `json:"byPolicy"` // for scopes.byPolicy of the plugin's file
	Differences
}

// generator makes rights of rules.
type generator struct {
	*comparer
	options GenerateOptions
	roles   []string
	result  GeneratedPolicies
}

// GenerateTyk writes Tyk policies of the documents, so that Tyk admits to each role what the hops allow to it. It compares its own result with
// the documents, so that each difference is listed.
func GenerateTyk(set *objects.Set, o GenerateOptions) (GeneratedPolicies, error) {
	c, err := newComparer(set, o.Options)
	if err != nil {
		return GeneratedPolicies{}, err
	}
	if len(c.documents) == 0 {
		set.AddMissing("AccessPolicy")
	}
	g := generator{comparer: c, options: o, result: GeneratedPolicies{Policies: map[string]TykPolicy{}, Differences: Differences{Wider: []Row{}, Narrower: []Row{}}}}
	c.methods = slices.Concat(standardMethods, o.Methods)
	g.findRoles()
	c.input = rights.Input{Policies: map[string]*rights.Policy{}} // those of the input are replaced
	for _, r := range c.routers {
		for _, a := range r.APIs() {
			if x := c.prepareAPI(r, a); x != nil {
				g.addAPI(x)
			}
		}
	}
	for _, id := range g.roles {
		if g.result.Policies[id].Rights == nil {
			c.report.addNote(fmt.Sprintf("the role %s: no hop allows it anything, so no policy is written; Tyk would read an empty one in its own way", id))
		}
	}
	g.verify()
	g.result.Scopes = c.scopes.roles
	g.result.Notes, g.result.Unchecked = c.report.Notes, c.report.Unchecked
	return g.result, nil
}

// findRoles takes the roles of the options, of the plugin's file, or one for each scope.
func (g *generator) findRoles() {
	roles := maps.Clone(g.options.Roles)
	if len(roles) == 0 {
		roles = map[string][]string{}
		for _, p := range g.Plugins {
			for _, block := range blocks {
				for _, list := range p.Root.FindPath(block, "scopes", "byPolicy").Members() {
					for _, scope := range list.Texts() {
						if !slices.Contains(roles[list.Key], scope) {
							roles[list.Key] = append(roles[list.Key], scope)
						}
					}
				}
			}
		}
	}
	if len(roles) == 0 {
		for _, d := range g.documents {
			for _, r := range d.Rules() {
				for _, c := range r.Conditions() {
					if scopes, ok := c.(policy.Scopes); ok && r.Spec().Effect == policy.Allow && !r.Spec().Shadow {
						for _, scope := range scopes {
							roles[scope] = []string{scope}
						}
					}
				}
			}
		}
		if len(roles) == 0 {
			roles[defaultRole] = []string{}
		}
		g.report.addNote("no role is in the input: write these roles into scopes.byPolicy of the plugin's file")
	}
	g.scopes.roles = roles
	g.roles = slices.Sorted(maps.Keys(roles))
	g.callers = nil
	for _, id := range g.roles {
		g.callers = append(g.callers, rights.Caller{Name: id, Policies: []string{id}})
	}
}

// defaultRole is the role if no rule asks for a scope.
const defaultRole = "callers"

// addAPI adds the rights for one API to the policies of all roles.
func (g *generator) addAPI(x *apiComparison) {
	if x.anyone {
		g.report.addNote(fmt.Sprintf("API %s asks for no credential: no policy decides about it", x.api.Title()))
		return
	}
	g.refuseEncoded(x)
	for _, caller := range g.callers {
		access := g.accessFor(x, caller)
		if len(access) == 0 {
			continue
		}
		id := caller.Policies[0]
		p := g.result.Policies[id]
		if p.Rights == nil {
			p = TykPolicy{ID: id, Name: id, Org: x.org, Active: true, Partitions: TykPartitions{ACL: true}, Rights: map[string]TykRight{}}
		}
		if p.Org != x.org {
			g.addUnchecked(x.api.Root, fmt.Sprintf("API %s is of the organisation %q, and another API of the role %s of %q: Tyk applies a policy to one organisation alone", x.api.Title(), x.org, id, p.Org))
			continue
		}
		p.Rights[x.api.ID] = TykRight{ID: x.api.ID, Name: x.api.Name, Versions: x.versions(), AllowedURLs: access}
		g.result.Policies[id] = p
	}
}

// refuseEncoded refuses rules that admit an escaped slash in a capture: Tyk decodes paths before it compares them.
func (g *generator) refuseEncoded(x *apiComparison) {
	slash, _ := path.ParseEscape("%2F")
	for _, r := range x.rulesOfCallees() {
		if r.Spec().AllowEncoded&slash != 0 && r.Spec().Effect != policy.Deny {
			g.Set.Unchecked = append(g.Set.Unchecked, objects.Unchecked{Place: x.placeOf(r),
				Reason: fmt.Sprintf("rule %s admits %%2F in a capture: Tyk decodes it before it compares paths, and would admit other paths; write Tyk's right for this API by hand", nameOf(r))})
		}
	}
	for _, r := range x.rulesOfCallees() {
		if !namesMethods(r) && r.Spec().Effect != policy.Deny {
			g.report.addNote(fmt.Sprintf("rule %s allows every method, and Tyk lists methods: %s; add others with --method", nameOf(r), strings.Join(x.methods, ", ")))
		}
	}
}

func namesMethods(r *policy.Rule) bool {
	return slices.ContainsFunc(r.Conditions(), func(c policy.Condition) bool { _, names := c.(policy.Methods); return names })
}

// versions are the names of all versions of the API.
func (x *apiComparison) versions() (all []string) {
	for _, w := range x.ways {
		if w.version != "" && !slices.Contains(all, w.version) {
			all = append(all, w.version)
		}
	}
	if len(all) == 0 {
		return []string{"Default"}
	}
	return all
}

// accessFor gives the URLs of a role. Each is anchored, and behind the listen path or the alias, so that it means the same with all switches
// of the gateway but enable_path_prefix_matching.
func (g *generator) accessFor(x *apiComparison, caller rights.Caller) (all []TykAccess) {
	byURL := map[string][]string{}
	for _, method := range x.methods {
		for _, w := range x.ways {
			for _, expression := range x.expressionsOf(w, caller, method) {
				if prepared, err := x.switches().Expression(expression); err != nil || prepared != expression {
					g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: its listen path has an expression that Tyk would rewrite in an allowed URL: %s", x.api.Title(), expression))
					continue
				}
				if !slices.Contains(byURL[expression], method) {
					byURL[expression] = append(byURL[expression], method)
				}
			}
		}
	}
	if len(byURL) > maxURLs {
		g.addUnchecked(x.api.ListenPath, fmt.Sprintf("API %s: the role %s needs %d URLs, want at most %d", x.api.Title(), caller.Name, len(byURL), maxURLs))
		return nil
	}
	for _, url := range slices.Sorted(maps.Keys(byURL)) {
		all = append(all, TykAccess{URL: url, Methods: byURL[url]})
	}
	return all
}

// maxURLs is the largest number of URLs of one right.
const maxURLs = 1000

// expressionsOf are the expressions for the paths of a way that a hop may allow to a caller.
func (x *apiComparison) expressionsOf(w *way, caller rights.Caller, method string) (all []string) {
	beginning := "^" + regexp.QuoteMeta(w.compared.prefix)
	if w.compared.beginning {
		beginning = w.listens
	}
	for _, ch := range x.chains[w] {
		for _, b := range x.boxesOf(w, ch, caller, method) {
			if w.rest.exact {
				if !w.rest.some && b.Has(path.Segments(w.upstream.prefix)) {
					all = append(all, beginning+"$")
				}
				continue
			}
			rest, found := b.Behind(w.upstream.prefix)
			if found && w.rest.some {
				rest, found = rest.WithoutEmpty()
			}
			if found {
				all = append(all, beginning+rest.Expression()+"$")
			}
		}
	}
	return all
}

// boxesOf are the upstream's paths that all hops of a chain may allow.
func (x *apiComparison) boxesOf(w *way, ch chain, caller rights.Caller, method string) []pathbox.Box {
	all := []pathbox.Box{pathbox.Every()}
	for _, h := range ch {
		if h.open || h.atEdge {
			continue
		}
		rules := hops.RulesFor(x.documents, h.callee, x.who(caller, w, h), method)
		allowed := pathbox.Subtract(boxesOfRules(rules.Allow), boxesOfRules(certainOf(rules.Deny)))
		allowed = append(allowed, pathbox.Subtract(boxesOfRules(rules.Public), boxesOfRules(certainOf(rules.DenyPublic)))...)
		all = pathbox.Subtract(all, pathbox.Subtract(all, allowed))
	}
	return pathbox.Simplify(all)
}

func boxesOfRules(rules []hops.Rule) (all []pathbox.Box) {
	for _, r := range rules {
		all = append(all, pathbox.OfAll(r.Spec().Paths)...)
	}
	return all
}

func certainOf(rules []hops.Rule) (all []hops.Rule) {
	for _, r := range rules {
		if r.Verdict == hops.Yes {
			all = append(all, r)
		}
	}
	return all
}

// verify compares the generated policies with the documents.
func (g *generator) verify() {
	for _, id := range slices.Sorted(maps.Keys(g.result.Policies)) {
		p := g.result.Policies[id]
		read := &rights.Policy{ID: id, Org: p.Org, Partitions: true, ACL: true, Rights: map[string]rights.Right{}}
		for api, right := range p.Rights {
			at := g.FindAPI(api).Root
			r := rights.Right{Versions: right.Versions, Node: at}
			for _, access := range right.AllowedURLs {
				r.Grants = append(r.Grants, rights.Grant{URL: access.URL, Methods: access.Methods, Node: at})
			}
			read.Rights[api] = r
		}
		g.input.Policies[id] = read
		g.input.Order = append(g.input.Order, id)
	}
	g.callers = slices.DeleteFunc(g.callers, func(c rights.Caller) bool { return g.input.Policies[c.Policies[0]] == nil })
	g.compareAll(g.options.Progress)
	g.report.finish(g.Set, nil)
	for _, row := range g.report.Rows {
		switch row.Kind {
		case Wider, Dead, ConditionalGrant:
			g.result.Wider = append(g.result.Wider, row)
		case Unreached, PartlyReached:
			g.result.Narrower = append(g.result.Narrower, row)
		default:
		}
	}
}

// IsComplete reports whether nothing was refused.
func (d Differences) IsComplete() bool { return len(d.Unchecked) == 0 }

// Print writes the differences for people.
func (d Differences) Print(to io.Writer) error {
	var b strings.Builder
	for _, list := range []struct {
		title string
		rows  []Row
	}{
		{"wider: Tyk admits it, and a hop denies it, or decides by what only the request has", d.Wider},
		{"narrower: a hop allows it, and Tyk does not admit it", d.Narrower},
	} {
		if len(list.rows) > 0 {
			fmt.Fprintln(&b, list.title)
		}
		for _, row := range list.rows {
			row.print(&b)
		}
	}
	for _, u := range d.Unchecked {
		printer.Fprintf(&b, "%s: refused: %s\n", u.Place, u.Reason)
	}
	for _, text := range d.Notes {
		printer.Fprintf(&b, "note: %s\n", text)
	}
	printer.Fprintf(&b, "wider: %d, narrower: %d, refused: %d\n", len(d.Wider), len(d.Narrower), len(d.Unchecked))
	_, err := io.WriteString(to, b.String())
	return err
}
