package model

import (
	"encoding/base64"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// TykGateway is a configuration of Tyk's gateway with what the environment of its container changes.
type TykGateway struct {
	Conf        *objects.Node    // tyk.conf; nil: Helm values alone
	Content     *objects.Content // that tyk.conf is in
	Values      *objects.Node    // the chart's section gateway; nil: no Helm values
	Namespace   string
	Root        *objects.Node
	environment map[string]*objects.Node
	Workload    *Workload // nil: not in the input
	Variables   Variables // of the container
	Image       *objects.Node
}

// chartDefaults are the values of Tyk's chart that differ from those of a gateway without it.
var chartDefaults = map[string]string{
	"http_server_options.enable_path_prefix_matching": "true", "http_server_options.enable_path_suffix_matching": "true",
	"http_server_options.enable_strict_routes": "true", "enable_custom_domains": "true",
}

// Setting gives the text of a setting, such as http_server_options.enable_strict_routes, and its place. The environment counts before the
// file, and the chart's default before Tyk's.
func (g *TykGateway) Setting(path string) (text string, at *objects.Node) {
	if g == nil {
		return "", nil
	}
	name := "TYK_GW_" + strings.ToUpper(strings.NewReplacer("_", "", ".", "").Replace(path))
	if n := g.environment[name]; n != nil {
		return n.String(), n
	}
	if n := g.Conf.FindFold(strings.Split(path, ".")...); n != nil {
		return n.String(), n
	}
	if g.Values != nil {
		return chartDefaults[path], g.Values
	}
	return "", nil
}

// IsOn reports whether a setting is true.
func (g *TykGateway) IsOn(path string) bool {
	text, _ := g.Setting(path)
	on, err := strconv.ParseBool(text)
	return err == nil && on
}

// Path is a path as the gateway's container reads it: from its working directory.
func (g *TykGateway) Path(file string) string {
	folder := "/opt/tyk-gateway" // of Tyk's images
	if c := g.Container(); c != nil && c.Node.Find("workingDir").String() != "" {
		folder = c.Node.Find("workingDir").String()
	}
	return path.Clean(ResolvePath(folder, file))
}

// At is the place of a setting, or of the configuration.
func (g *TykGateway) At(path string) *objects.Node {
	if _, at := g.Setting(path); at != nil {
		return at
	}
	return g.Root
}

// TykPolicy is a policy of Tyk.
type TykPolicy struct {
	ID      string
	Node    *objects.Node
	Rights  []*objects.Node  // ids of APIs
	Content *objects.Content // nil: of Tyk Operator
	aliases []string
}

// IsNamed reports whether an id means the policy. Definitions of Tyk Operator name policies by NAMESPACE/NAME, or by its base64.
func (p *TykPolicy) IsNamed(id string) bool { return id == p.ID || slices.Contains(p.aliases, id) }

// FindPolicy gives a policy by its id; nil: it is absent.
func (m *Model) FindPolicy(id string) *TykPolicy {
	for _, p := range m.Policies {
		if p.IsNamed(id) {
			return p
		}
	}
	return nil
}

// objectIDs are the names of an object of Tyk Operator in definitions and in the gateway.
func objectIDs(o *objects.Object) []string {
	name := o.Namespace + "/" + o.Name
	return []string{o.Name, name, base64.RawURLEncoding.EncodeToString([]byte(name)), base64.URLEncoding.EncodeToString([]byte(name))}
}

func (m *Model) readTyk() {
	for _, c := range m.Set.ContentsOf(objects.TykConfig) {
		m.checkKinds(c.Root, "configuration", gatewayMembers)
		m.Gateways = append(m.Gateways, &TykGateway{Conf: c.Root, Content: c, Namespace: c.Namespace, Root: c.Root, environment: map[string]*objects.Node{}})
	}
	for _, c := range m.Set.ContentsOf(objects.TykValues) {
		m.addTykValues(c.Root)
	}
	for _, w := range m.Workloads {
		m.addTykWorkload(w)
	}
	for _, c := range m.Set.ContentsOf(objects.ClassicAPI) {
		root := c.Root
		if inner := root.Find("api_definition"); inner != nil {
			root = inner
		}
		m.checkKinds(root, "definition", classicMembers)
		m.APIs = append(m.APIs, readClassic(root, c, nil))
	}
	refs := map[string]*objects.Object{}
	for _, o := range m.OfKind(objects.Tyk, "TykOasApiDefinition") {
		ref := o.Spec().FindPath("tykOAS", "configmapRef")
		namespace := ref.Find("namespace").String()
		if namespace == "" {
			namespace = o.Namespace
		}
		refs[namespace+"/"+ref.Find("name").String()+"/"+ref.Find("keyName").String()] = o
	}
	found := map[*objects.Object]bool{}
	defer func() {
		for _, o := range refs {
			if !found[o] {
				m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: o.Root.Place(), Reason: "the definition that spec.tykOAS.configmapRef names is not in the input"})
			}
		}
	}()
	for _, c := range m.Set.ContentsOf(objects.OpenAPI) {
		o := refs[c.Namespace+"/"+c.Holder+"/"+c.Name]
		found[o] = true
		m.checkKinds(c.Root.Find("x-tyk-api-gateway"), "definition", openMembers)
		a := readOpenAPI(c.Root, c, o)
		a.addObject()
		m.APIs = append(m.APIs, a)
	}
	for _, o := range m.OfKind(objects.Tyk, "ApiDefinition") {
		if o.Spec().IsEmpty() {
			m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: o.Root.Place(), Reason: "it has no spec"})
			continue
		}
		m.checkKinds(o.Spec(), "definition", classicMembers)
		m.APIs = append(m.APIs, readClassic(o.Spec(), nil, o))
	}
	for _, c := range m.Set.ContentsOf(objects.TykManifest) {
		m.Manifests = append(m.Manifests, readManifest(c))
	}
	m.indexAPIs()
	m.pairAPIs()
	m.readTykPolicies()
}

// addTykValues adds the gateway of Helm values: of the chart tyk-gateway, or of a chart that contains it.
func (m *Model) addTykValues(root *objects.Node) {
	values := root.FindPath("tyk-gateway", "gateway")
	if values == nil {
		if values = root.FindPath("tyk-oss", "tyk-gateway", "gateway"); values == nil {
			values = root.Find("gateway")
		}
	}
	if values == nil {
		return
	}
	g := &TykGateway{Values: values, Root: values, environment: map[string]*objects.Node{}, Image: values.FindPath("image", "tag")}
	g.Variables = Variables{values: map[string]*objects.Node{}, named: map[string]bool{}, complete: true}
	g.Variables.add(m, "", values.Find("extraEnvs").Entries())
	for name, value := range g.Variables.values {
		g.environment[settingName(name)] = value
	}
	for key, variable := range map[string]string{
		"enablePathPrefixMatching": "TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHPREFIXMATCHING", "enablePathSuffixMatching": "TYK_GW_HTTPSERVEROPTIONS_ENABLEPATHSUFFIXMATCHING",
		"enableStrictRoutes": "TYK_GW_HTTPSERVEROPTIONS_ENABLESTRICTROUTES", "enableCustomDomains": "TYK_GW_ENABLECUSTOMDOMAINS",
	} {
		if n := values.Find(key); n != nil {
			g.environment[settingName(variable)] = n
		}
	}
	if secret := root.FindPath("global", "secrets", "APISecret"); secret != nil && g.environment["TYK_GW_SECRET"] == nil {
		g.environment["TYK_GW_SECRET"] = secret
	}
	m.Gateways = append(m.Gateways, g)
}

var tykImage = regexp.MustCompile(`(^|/)tyk-gateway(-ee|-fips)?[:@]|(^|/)tyk-gateway(-ee|-fips)?$`)

// addTykWorkload adds the environment and the image of a container of the gateway to its configuration.
func (m *Model) addTykWorkload(w *Workload) {
	for _, c := range w.PodSpec.Find("containers").Entries() {
		variables := m.VariablesOf(w.Namespace, c)
		isTyk := tykImage.MatchString(c.Find("image").String())
		for name := range variables.values {
			isTyk = isTyk || strings.HasPrefix(name, "TYK_GW_")
		}
		if !isTyk {
			continue
		}
		g := m.GatewayIn(w.Namespace)
		if g == nil || g.Workload != nil {
			other := &TykGateway{Namespace: w.Namespace, Root: c}
			if g != nil && g.Content != nil && w.mounts(g.Content.Holder) {
				other.Conf, other.Content = g.Conf, g.Content
			}
			g = other
			m.Gateways = append(m.Gateways, g)
		}
		g.Workload, g.Variables, g.Image = w, variables, c.Find("image")
		g.environment = map[string]*objects.Node{}
		for name, n := range variables.values {
			g.environment[settingName(name)] = n
		}
	}
}

// settingName writes the name of a variable that changes a setting without underscores: TYK_GW_HTTPSERVEROPTIONSENABLESTRICTROUTES.
func settingName(variable string) string {
	if rest, found := strings.CutPrefix(variable, "TYK_GW_"); found {
		return "TYK_GW_" + strings.ReplaceAll(rest, "_", "")
	}
	return variable
}

// GatewayIn gives the gateway of a namespace, or the only one; nil: it is absent.
func (m *Model) GatewayIn(namespace string) *TykGateway {
	for _, g := range m.Gateways {
		if g.Namespace == namespace {
			return g
		}
	}
	if len(m.Gateways) == 1 {
		return m.Gateways[0]
	}
	return nil
}

// GatewayOf gives the gateway that serves an API, as far as the input shows.
func (m *Model) GatewayOf(a *API) *TykGateway { return m.GatewayIn(a.Namespace) }

// Serves reports whether a gateway serves an API: it is the one of its namespace, or another one with the same ConfigMap of definitions.
func (m *Model) Serves(g *TykGateway, a *API) bool {
	return m.GatewayOf(a) == g || g.Workload != nil && a.Content != nil && a.Content.Holder != "" && a.Namespace == g.Namespace && g.Workload.mounts(a.Content.Holder)
}

// Resolve replaces a text env://NAME by the value in the gateway's environment.
func (g *TykGateway) Resolve(text string) string {
	if name, found := strings.CutPrefix(text, "env://"); found && g != nil {
		if n := g.environment[name]; n != nil {
			return n.String()
		}
	}
	return text
}

// pairAPIs joins the two files of an API in OpenAPI form: Tyk runs by the classic one.
func (m *Model) pairAPIs() {
	for _, classic := range m.APIs {
		if !classic.IsPair {
			continue
		}
		for _, open := range m.APIs {
			if open.Form == OpenAPI && open.Object == nil && open.ID == classic.ID && open.Namespace == classic.Namespace {
				classic.Pair, open.Pair = open, classic
			}
		}
	}
}

// ServedAPIs are the definitions that Tyk runs: of a pair, the classic one.
func (m *Model) ServedAPIs() []*API {
	return slices.DeleteFunc(slices.Clone(m.APIs), func(a *API) bool { return a.Form == OpenAPI && a.Pair != nil })
}

// FindAPI gives an API by its id; nil: it is absent.
func (m *Model) FindAPI(id string) *API {
	return m.apisByID[id]
}

// indexAPIs finds APIs by their ids, and those of Tyk Operator also by the names of their objects.
func (m *Model) indexAPIs() {
	m.apisByID = map[string]*API{}
	add := func(id string, a *API) {
		if m.apisByID[id] == nil {
			m.apisByID[id] = a
		}
	}
	for _, a := range m.APIs {
		add(a.ID, a)
	}
	for _, a := range m.APIs {
		if a.Object != nil {
			for _, id := range objectIDs(a.Object) {
				add(id, a)
			}
		}
	}
}

func (m *Model) readTykPolicies() {
	for _, c := range m.Set.ContentsOf(objects.TykPolicies) {
		switch {
		case c.Root.Kind == objects.List:
			for _, n := range c.Root.Entries() {
				m.addTykPolicy("", n, c)
			}
		case c.Root.Find("access_rights") != nil && c.Root.FindPath("access_rights", "access_rights") == nil:
			m.addTykPolicy("", c.Root, c)
		default:
			for _, n := range c.Root.Members() {
				m.addTykPolicy(n.Key, n, c)
			}
		}
	}
	for _, o := range m.OfKind(objects.Tyk, "SecurityPolicy") {
		m.addTykPolicy(o.Name, o.Spec(), nil)
		p := m.Policies[len(m.Policies)-1]
		p.aliases = append(objectIDs(o), o.Spec().Find("id").String(), o.Spec().Find("_id").String())
	}
}

// addTykPolicy adds a policy. The id of a policy in a file is its key; a list names it by id.
func (m *Model) addTykPolicy(id string, n *objects.Node, c *objects.Content) {
	p := &TykPolicy{ID: id, Node: n, Content: c}
	if p.ID == "" {
		if p.ID = n.Find("id").String(); p.ID == "" {
			p.ID = n.Find("_id").String()
		}
	}
	p.Rights = append(p.Rights, n.Find("access_rights").Members()...)
	m.Policies = append(m.Policies, p)
}

// Probe is the path of the gateway's readiness probe. known is false if the input does not have the gateway's pods.
func (g *TykGateway) Probe() (path *objects.Node, known bool) {
	if g.Workload != nil {
		for _, c := range g.Workload.PodSpec.Find("containers").Entries() {
			if tykImage.MatchString(c.Find("image").String()) || c == g.Image.Parent() {
				return c.FindPath("readinessProbe", "httpGet", "path"), true
			}
		}
	}
	if g.Values != nil && g.Values.Find("readinessProbe") != nil {
		return g.Values.FindPath("readinessProbe", "httpGet", "path"), true
	}
	return nil, g.Values != nil
}
