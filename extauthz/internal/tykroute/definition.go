package tykroute

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// api is what routing reads of a definition. A definition in OpenAPI form is read as Tyk converts it to the classic form.
type api struct {
	*model.API
	id                   string
	listenPath           string // as Tyk registers it, after a collision too
	declaredPath         string
	collides             bool
	strip                bool
	domain               string // "": every host
	hasDomain            bool   // also if it is disabled: such an API is sorted first
	port                 int
	protocol             string
	internal             bool
	keepTrailingSlash    bool // disable_strip_slash
	keepHost             bool
	oauth, batch, expose bool // endpoints of Tyk's own below the listen path; expose: rate limits of a key
	expires              string
	target               *url.URL
	targetNode           *objects.Node
	targets              []target // of load balancing; nil: it is off
	versioning           versioning
	notVersioned         bool
	defaultVersion       string
	versions             map[string]*version // by key
	urlRewriting         bool
	answersPreflights    bool // of CORS
	problems             []Problem
	skipped              string // why Tyk does not load the definition
	dynamic              string // why no upstream can be given
	dynamicNode          *objects.Node
}

type target struct {
	url    *url.URL
	weight int
	node   *objects.Node
}

// versioning is the section definition: versions are APIs of their own.
type versioning struct {
	enabled           bool
	name, defaultName string
	location, key     string
	strips            bool
	pattern           *regexp.Regexp // of the part of the path that is a version; nil: each one
	fallback          bool
	ids               map[string]string // ids of APIs, by version
	node              *objects.Node
}

// version is a version of version_data: lists of endpoints, and a target of its own.
type version struct {
	name      string
	target    *url.URL
	expires   string
	endpoints []*endpoint
	hasAllow  bool
	node      *objects.Node
}

func (a *api) addProblem(at *objects.Node, reason string) {
	if at == nil {
		at = a.Root
	}
	a.problems = append(a.problems, Problem{API: a.API, Place: at, Reason: "API " + a.Title() + ": " + reason})
}

// readAPI reads a definition.
func readAPI(m *model.API, g *model.TykGateway, s Switches) *api {
	a := &api{API: m, id: m.ID, strip: m.StripsPath, internal: m.Internal, versions: map[string]*version{}}
	a.protocol = m.Protocol.String()
	a.declaredPath = g.Resolve(m.ListenPath.String())
	a.listenPath = a.declaredPath
	if m.Object != nil && m.Root.FindFold("api_id").String() == "" && m.Form == model.Classic { // the id that Operator gives
		a.id = base64.RawURLEncoding.EncodeToString([]byte(m.Object.Namespace + "/" + m.Object.Name))
	}
	if m.Form == model.OpenAPI {
		a.readOpenAPI(g, s)
	} else {
		a.readClassic(g, s)
	}
	if m.Active.IsFalse() && (m.Object != nil || s.FromDashboard || m.Form == model.OpenAPI && !m.FromFile) {
		a.skipped = "it is inactive"
	}
	if m.Discovery != nil {
		a.setDynamic(m.Discovery, "service discovery finds its hosts while the gateway runs")
	}
	if m.GraphQL != nil {
		a.setDynamic(m.GraphQL, "GraphQL data sources answer it")
	}
	return a
}

func (a *api) setDynamic(at *objects.Node, reason string) {
	if a.dynamic == "" {
		a.dynamic, a.dynamicNode = reason, at
	}
}

// setTarget reads the URL of the upstream.
func (a *api) setTarget(n *objects.Node, g *model.TykGateway) {
	a.targetNode = n
	a.target = a.parseTarget(n, n.String(), g)
}

func (a *api) parseTarget(n *objects.Node, text string, g *model.TykGateway) *url.URL {
	text = g.Resolve(strings.TrimSpace(text))
	for _, store := range []string{"env://", "secrets://", "consul://", "vault://", "$secret_"} {
		if strings.HasPrefix(text, store) {
			a.setDynamic(n, "its target is a value that the input does not have")
			return &url.URL{}
		}
	}
	u, err := url.Parse(text)
	if err != nil {
		a.addProblem(n, "its target is no URL")
		return nil
	}
	return u
}

// addTarget adds an entry of load balancing. An entry without a scheme has that of the API.
func (a *api) addTarget(n *objects.Node, weight int, g *model.TykGateway) {
	text := strings.TrimSpace(n.String())
	if !strings.Contains(text, "://") {
		scheme := strings.TrimSpace(a.protocol)
		if scheme == "" {
			scheme = "http"
		}
		text = scheme + "://" + text
	}
	u := a.parseTarget(n, strings.Replace(text, "h2c://", "http://", 1), g)
	if u == nil || weight <= 0 {
		return
	}
	for i, t := range a.targets {
		if t.url.String() == u.String() {
			a.targets[i].weight += weight
			return
		}
	}
	a.targets = append(a.targets, target{url: u, weight: weight, node: n})
}

func (a *api) readClassic(g *model.TykGateway, s Switches) {
	get := a.Root.FindFold
	proxy := get("proxy")
	a.setDomain(get("domain").String(), get("domain_disabled").IsTrue())
	a.port = get("listen_port").Int()
	a.keepTrailingSlash, a.keepHost = proxy.FindFold("disable_strip_slash").IsTrue(), proxy.FindFold("preserve_host_header").IsTrue()
	a.oauth, a.batch, a.expose = get("use_oauth2").IsTrue(), get("enable_batch_request_support").IsTrue(), !get("use_keyless").IsTrue()
	a.expires = get("expiration").String()
	a.answersPreflights = get("CORS", "enable").IsTrue() && !get("CORS", "options_passthrough").IsTrue()
	a.setTarget(proxy.FindFold("target_url"), g)
	if !proxy.FindFold("target_internal").IsEmpty() {
		a.setDynamic(proxy.FindFold("target_internal"), "its target is another API of Tyk Operator")
	}
	if proxy.FindFold("enable_load_balancing").IsTrue() {
		a.targets = []target{}
		for _, n := range proxy.FindFold("target_list").Entries() {
			a.addTarget(n, 1, g)
		}
	}
	d := get("definition")
	a.versioning = versioning{
		enabled: d.FindFold("enabled").IsTrue(), name: d.FindFold("name").String(), defaultName: d.FindFold("default").String(),
		location: d.FindFold("location").String(), key: d.FindFold("key").String(),
		strips: d.FindFold("strip_versioning_data").IsTrue() || d.FindFold("strip_path").IsTrue(), fallback: d.FindFold("fallback_to_default").IsTrue(),
		ids: d.FindFold("versions").TextMap(), node: d,
	}
	a.setVersionPattern(d.FindFold("url_versioning_pattern"))
	data := get("version_data")
	a.notVersioned, a.defaultVersion = data.FindFold("not_versioned").IsTrue(), data.FindFold("default_version").String()
	for _, n := range data.FindFold("versions").Members() {
		v := &version{name: n.FindFold("name").String(), expires: n.FindFold("expires").String(), node: n}
		if override := n.FindFold("override_target"); override.String() != "" {
			v.target = a.parseTarget(override, override.String(), g)
		}
		a.readEndpoints(v, n, s)
		a.versions[n.Key] = v
	}
}

func (a *api) setDomain(name string, disabled bool) {
	a.hasDomain = name != ""
	if !disabled {
		a.domain = name
	}
}

func (a *api) setVersionPattern(n *objects.Node) {
	if n.String() == "" {
		return
	}
	pattern, err := regexp.Compile(n.String())
	if err != nil {
		a.addProblem(n, "the pattern of versions is no regular expression: "+describeRegexp(err))
		return
	}
	a.versioning.pattern = pattern
}

// readOpenAPI reads the parts that Tyk writes into the classic form (apidef/oas: ExtractTo).
func (a *api) readOpenAPI(g *model.TykGateway, s Switches) {
	get := a.Root.FindFold
	upstream, server := get("upstream"), get("server")
	on := func(n *objects.Node) bool { return n.FindFold("enabled").IsTrue() }
	domain := server.FindFold("customDomain")
	a.setDomain(domain.FindFold("name").String(), !on(domain))
	a.port = server.FindFold("port").Int()
	a.keepTrailingSlash, a.keepHost = on(upstream.FindFold("preserveTrailingSlash")), on(upstream.FindFold("preserveHostHeader"))
	a.batch, a.expose = on(server.FindFold("batchProcessing")), on(server.FindFold("authentication"))
	a.oauth = slices.ContainsFunc(a.Methods, func(m model.Method) bool { return m.Name == "oauth" })
	a.expires = get("info", "expiration").String()
	cors := get("middleware", "global", "cors")
	a.answersPreflights = on(cors) && !cors.FindFold("optionsPassthrough").IsTrue()
	a.setTarget(upstream.FindFold("url"), g)
	if balancing := upstream.FindFold("loadBalancing"); on(balancing) && len(balancing.FindFold("targets").Entries()) > 0 {
		a.targets = []target{}
		for _, n := range balancing.FindFold("targets").Entries() {
			a.addTarget(n.FindFold("url"), n.FindFold("weight").Int(), g)
		}
	}
	d := get("info", "versioning")
	a.versioning = versioning{
		enabled: on(d), name: d.FindFold("name").String(), defaultName: d.FindFold("default").String(), location: d.FindFold("location").String(),
		key: d.FindFold("key").String(), strips: d.FindFold("stripVersioningData").IsTrue(), fallback: d.FindFold("fallbackToDefault").IsTrue(),
		ids: map[string]string{}, node: d,
	}
	for _, n := range d.FindFold("versions").Entries() {
		a.versioning.ids[n.FindFold("name").String()] = n.FindFold("id").String()
	}
	a.setVersionPattern(d.FindFold("urlVersioningPattern"))
	a.notVersioned = true
	v := &version{node: a.Root}
	a.readOperations(v, s)
	a.versions[""] = v
}

// isExpired reports a time in Tyk's form (apidef.ExpirationTimeFormat) that is past, or that is no time.
func isExpired(text string) bool {
	if text == "" || text == "-1" {
		return false
	}
	t, err := time.Parse("2006-01-02 15:04", text)
	return err != nil || !time.Now().Before(t)
}

func describeRegexp(err error) string {
	return strings.TrimPrefix(err.Error(), "error parsing regexp: ")
}
