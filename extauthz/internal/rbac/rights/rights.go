// Package rights reads what Tyk policies and keys admit, and merges the policies of a caller as Tyk's gateway does (v5.8:
// internal/policy/apply.go, mw_access_rights.go, mw_granular_access.go). e2e/gateway measures the same on a real gateway.
package rights

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// Grant is an entry of allowed_urls.
type Grant struct {
	URL     string // the pattern as it is written
	Methods []string
	Node    *objects.Node
}

// Right is what a policy or a key admits of one API.
type Right struct {
	Versions []string
	Grants   []Grant // empty: every path and method
	Node     *objects.Node
}

// Policy is a Tyk policy.
type Policy struct {
	ID         string
	Org        string
	Inactive   bool // is_inactive: its callers are denied
	PerAPI     bool
	Partitions bool // it sets only some parts
	ACL        bool // its rights are one of these parts
	Rights     map[string]Right
	Node       *objects.Node
}

// Key is a key, or a template of keys.
type Key struct {
	Name     string
	Policies []string
	Inactive bool
	Rights   map[string]Right
	Node     *objects.Node
}

// Input is all that was read.
type Input struct {
	Policies map[string]*Policy
	Order    []string // ids, as they were read
	Keys     []*Key
}

// Read reads the policies and keys of a model. It records values that Tyk cannot read either as unchecked.
func Read(m *model.Model) Input {
	r := reader{Model: m}
	input := Input{Policies: map[string]*Policy{}}
	for _, p := range m.Policies {
		if p.ID == "" {
			r.reject(p.Node, "a Tyk policy without an id")
			continue
		}
		if input.Policies[p.ID] != nil {
			r.reject(p.Node, fmt.Sprintf("the Tyk policy %q is in the input twice", p.ID))
			continue
		}
		input.Policies[p.ID] = r.readPolicy(p)
		input.Order = append(input.Order, p.ID)
	}
	for _, c := range m.Set.ContentsOf(objects.TykKey) {
		input.Keys = append(input.Keys, r.readKey(c))
	}
	return input
}

type reader struct{ *model.Model }

func (r reader) reject(at *objects.Node, reason string) {
	r.Set.Unchecked = append(r.Set.Unchecked, objects.Unchecked{Place: at.Place(), Reason: reason})
}

func (r reader) readPolicy(p *model.TykPolicy) *Policy {
	get := p.Node.FindFold
	partitions := get("partitions")
	on := func(name string) bool { return partitions.FindFold(name).IsTrue() }
	policy := &Policy{
		ID: p.ID, Org: get("org_id").String(), Inactive: get("is_inactive").IsTrue(), PerAPI: on("per_api"), ACL: on("acl"), Node: p.Node,
		Partitions: on("quota") || on("rate_limit") || on("acl") || on("complexity"), Rights: r.readRights(get("access_rights")),
	}
	for _, n := range get("access_rights_array").Entries() {
		r.addOperatorRight(policy, n)
	}
	return policy
}

// addOperatorRight reads a right of Tyk Operator, which names an object.
func (r reader) addOperatorRight(p *Policy, n *objects.Node) {
	id := n.FindFold("api_id").String()
	name, namespace := n.Find("name").String(), n.Find("namespace").String()
	for _, a := range r.APIs {
		if a.Object != nil && a.Object.Name == name && (namespace == "" || a.Object.Namespace == namespace) {
			id = a.ID
		}
	}
	if id == "" {
		r.reject(n, fmt.Sprintf("policy %s: no definition of Tyk Operator is %s/%s", p.ID, namespace, name))
		return
	}
	p.Rights[id] = r.readRight(n)
}

func (r reader) readKey(c *objects.Content) *Key {
	get := c.Root.FindFold
	key := &Key{Name: get("alias").String(), Policies: r.readTexts(get("apply_policies")), Inactive: get("is_inactive").IsTrue(), Rights: r.readRights(get("access_rights")), Node: c.Root}
	if key.Name == "" {
		key.Name = c.Name
	}
	if one := get("apply_policy_id").String(); len(key.Policies) == 0 && one != "" {
		key.Policies = []string{one}
	}
	return key
}

func (r reader) readRights(n *objects.Node) map[string]Right {
	all := map[string]Right{}
	if !n.IsEmpty() && n.Kind != objects.Map {
		r.reject(n, "access_rights: want an object with a member for each API: Tyk cannot read it")
	}
	for _, right := range n.Members() {
		all[right.Key] = r.readRight(right)
	}
	return all
}

func (r reader) readRight(n *objects.Node) Right {
	right := Right{Versions: r.readTexts(n.FindFold("versions")), Node: n}
	urls := n.FindFold("allowed_urls")
	if !urls.IsEmpty() && urls.Kind != objects.List {
		r.reject(urls, "allowed_urls: want a list: Tyk cannot read it")
	}
	for _, entry := range urls.Entries() {
		url := entry.FindFold("url")
		if entry.Kind != objects.Map || url == nil || url.Kind != objects.Text {
			r.reject(entry, "an entry of allowed_urls: want url and methods")
			continue
		}
		right.Grants = append(right.Grants, Grant{URL: url.Value, Methods: r.readTexts(entry.FindFold("methods")), Node: entry})
	}
	return right
}

func (r reader) readTexts(n *objects.Node) []string {
	if !n.IsEmpty() && (n.Kind != objects.List || slices.ContainsFunc(n.Items, func(item *objects.Node) bool { return item.Kind != objects.Text })) {
		r.reject(n, n.Key+": want a list of texts: Tyk cannot read it")
	}
	return n.Texts()
}

// Switches are the settings of the gateway that anchor patterns.
type Switches struct {
	Prefix bool // http_server_options.enable_path_prefix_matching
	Suffix bool // http_server_options.enable_path_suffix_matching
}

// Expression is the regular expression of a pattern, as Tyk prepares it. With Switches.Prefix, Tyk looks for it in the path behind the
// listen path too, and else only in the whole path of the request.
func (s Switches) Expression(pattern string) (string, error) {
	text := tykroute.PreparePattern(pattern, s.Prefix, s.Suffix)
	if s.Prefix && strings.Trim(text, "^$") == "" {
		return matchNothing, nil // Tyk's MatchPath
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		return text, err
	}
	if path, found := cutAnchors(text); s.Prefix && found && !expression.MatchString(path) && !strings.ContainsAny(path, ambiguous) && !strings.Contains(path, parameter) {
		text += "|^" + regexp.QuoteMeta(path) + "$" // MatchPath compares the texts too
	}
	return text, nil
}

// parameter is what Tyk writes for {NAME}. Its text as a path is left out.
const parameter = "([^/]+)"

// ambiguous are letters of paths that every hop denies (shared/policy/path).
const ambiguous = `\%;?#`

// cutAnchors takes ^ and $ from a pattern.
func cutAnchors(pattern string) (path string, found bool) {
	path, begins := strings.CutPrefix(pattern, "^")
	path, ends := strings.CutSuffix(path, "$")
	return path, begins && ends && strings.HasPrefix(path, "/")
}

// matchNothing is an expression that no text matches.
const matchNothing = `[^\x00-\x{10FFFF}]`
