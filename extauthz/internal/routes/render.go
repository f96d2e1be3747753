// Package routes writes routes of Istio and of the Gateway API that do what a Tyk gateway does with its definitions, and compares existing
// routes with the definitions.
package routes

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/extauthz/internal/tykroute"
)

// Kind is a kind of routes.
type Kind string

// The kinds.
const (
	HTTPRoute      Kind = "httproute"
	VirtualService Kind = "virtualservice"
)

// Options say what to render.
type Options struct {
	Kind             Kind
	GatewayNamespace string // of the Gateway that the routes belong to
	GatewayName      string
	Namespace        string // of the routes
	Partial          bool   // render the other APIs if some are refused
}

// Rendered is what became of the definitions.
type Rendered struct {
	Objects   []any               `json:"objects"`
	APIs      []APIState          `json:"apis"`
	Notes     []string            `json:"notes"`
	Unchecked []objects.Unchecked `json:"unchecked"`
}

// APIState is what became of an API.
type APIState struct {
	API    string         `json:"api"`
	State  tykroute.State `json:"state"`
	Reason string         `json:"reason,omitempty"`
	objects.Place
	Notes []string `json:"notes"`
}

// IsComplete reports whether no API is refused.
func (r Rendered) IsComplete() bool {
	return !slices.ContainsFunc(r.APIs, func(a APIState) bool { return a.State == tykroute.Refused })
}

// Progress is called often, with what is done.
type Progress func(format string, args ...any)

// Render maps all APIs of the input to routes.
func Render(m *model.Model, options Options, progress Progress) Rendered {
	r := &renderer{Model: m, options: options, names: map[string]bool{}, grants: map[string]bool{}, refused: map[*model.API]string{}, namespaces: map[*model.API]string{}}
	routers := tykroute.NewRouters(m)
	r.noteGateways(routers)
	reportProblems(m, routers)
	rendered := Rendered{Objects: []any{}, APIs: []APIState{}}
	var all []any
	for _, router := range routers {
		tables, mappings := router.Tables()
		for _, a := range router.APIs() {
			r.namespaces[a] = namespaceOf(a, router)
		}
		for _, mapping := range mappings {
			if mapping.State == tykroute.Refused {
				r.refuse(mapping.API, "%s", mapping.Reason)
			}
		}
		progress("the definitions of %d APIs are mapped", len(mappings))
		if len(tables) > 0 && tables[0].Then != nil {
			r.checkDestinations(tables[0].Then)
		}
		for i := range tables {
			r.checkDestinations(&tables[i])
			progress("the targets for %d of %d hosts are compared with Services", i+1, len(tables))
		}
		if options.Kind == HTTPRoute {
			for i := range tables {
				tables[i] = tables[i].Whole()
			}
			all = append(all, r.renderHTTPRoutes(tables)...)
		} else {
			all = append(all, r.renderVirtualServices(tables)...)
		}
		for _, mapping := range mappings {
			if reason := r.refused[mapping.API]; reason != "" && mapping.State == tykroute.Mapped {
				mapping.State, mapping.Reason = tykroute.Refused, reason
			}
			rendered.APIs = append(rendered.APIs, APIState{
				API: mapping.API.Title(), State: mapping.State, Reason: mapping.Reason, Place: mapping.Place.Place(), Notes: append([]string{}, mapping.Notes...),
			})
		}
	}
	refuseSeveralGateways(m, routers)
	if len(routers) < 2 && (options.Partial || rendered.IsComplete() && len(m.Set.Unchecked) == 0) {
		rendered.Objects = append(rendered.Objects, all...)
	}
	rendered.Notes, rendered.Unchecked = append([]string{}, m.Set.Notes...), m.Set.SortedUnchecked()
	return rendered
}

// refuseSeveralGateways records that routes of several gateways would take each other's requests.
func refuseSeveralGateways(m *model.Model, routers []*tykroute.Router) {
	for _, router := range routers[min(1, len(routers)):] {
		m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: router.APIs()[0].Root.Place(),
			Reason: "it is of another Tyk gateway than other definitions of the input, and routes of both would take each other's requests: render the definitions of one gateway at a time"})
	}
}

// reportProblems records definitions that cannot be read as Tyk reads them.
func reportProblems(m *model.Model, routers []*tykroute.Router) {
	for _, router := range routers {
		for _, p := range router.Problems {
			m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: p.Place.Place(), Reason: p.Reason})
		}
	}
}

type renderer struct {
	*model.Model
	options Options
	names   map[string]bool
	grants  map[string]bool // namespaces of Services that a route of another namespace names
	refused map[*model.API]string

	namespaces map[*model.API]string // the one for short names of Services
}

func (r *renderer) noteGateways(routers []*tykroute.Router) {
	for _, router := range routers {
		if router.Gateway == nil {
			r.Set.AddNote("no tyk.conf and no Helm values are in the input: the defaults of a gateway without Tyk's chart were assumed (string prefixes, no custom domains)")
		}
		if router.Switches.SkipCleaning {
			r.Set.AddNote("the gateway has skip_url_cleaning: paths with //, /./ or /../ are for other APIs or upstream paths in Tyk than in Envoy")
		}
	}
}

func (r *renderer) refuse(a *model.API, format string, args ...any) {
	if a != nil && r.refused[a] == "" {
		r.refused[a] = fmt.Sprintf(format, args...)
	}
}

// checkDestinations refuses APIs whose targets Istio cannot name, and removes their destinations, so that no other API gets their requests.
func (r *renderer) checkDestinations(t *tykroute.Table) {
	for i := range t.Rules {
		rule := &t.Rules[i]
		for _, d := range rule.Destinations {
			if _, reason := r.findBackend(d.URL, r.namespaces[rule.Serving]); reason != "" {
				r.refuse(rule.API, "%s", reason)
			}
		}
	}
	r.dropRefused(t)
}

func (r *renderer) dropRefused(t *tykroute.Table) {
	for i := range t.Rules {
		if rule := &t.Rules[i]; r.refused[rule.API] != "" {
			rule.Destinations, rule.Rewrites, rule.Condition = nil, false, nil
			rule.Reason = "API " + rule.API.Title() + " is not mapped"
		}
	}
}

func namespaceOf(a *model.API, router *tykroute.Router) string {
	if router.Gateway != nil && router.Gateway.Namespace != "" {
		return router.Gateway.Namespace
	}
	return a.Namespace
}

// backend is a destination as Istio names it.
type backend struct {
	host            string // NAME.NAMESPACE.svc.DOMAIN, or the host of a ServiceEntry
	name, namespace string // of the Service; empty: a host of a ServiceEntry
	port            int
	weight          int
}

// findBackend finds the Service or host of a target.
func (r *renderer) findBackend(u *url.URL, namespace string) (backend, string) {
	b := backend{host: strings.TrimSuffix(strings.ToLower(u.Hostname()), "."), port: 80}
	if text := u.Port(); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 || number > 65535 {
			return b, fmt.Sprintf("its target has the port %s", text)
		}
		b.port = number
	}
	if net.ParseIP(b.host) != nil {
		return b, fmt.Sprintf("its target is the address %s: write the name of a Service, or of a ServiceEntry", b.host)
	}
	hosts := r.FindHosts(b.host, namespace)
	if name, ns, found := r.SplitServiceName(b.host, namespace); found {
		external := len(hosts) > 0 && !slices.ContainsFunc(hosts, func(h *model.Host) bool { return h.Object.Kind == "Service" })
		if !external {
			b.name, b.namespace, b.host = name, ns, name+"."+ns+".svc."+r.ClusterDomain
		}
	} else if !strings.Contains(b.host, ".") {
		return b, fmt.Sprintf("its target %s has no namespace, and that of the gateway is unknown", b.host)
	}
	if len(r.Hosts) == 0 {
		return b, ""
	}
	if len(hosts) == 0 {
		return b, fmt.Sprintf("its target %s is no Service and no host of a ServiceEntry of the input", b.host)
	}
	if !slices.ContainsFunc(hosts, func(h *model.Host) bool { return h.FindPort(b.port) != nil }) {
		return b, fmt.Sprintf("its target %s has no port %d", b.host, b.port)
	}
	return b, ""
}

// newName is a name of Kubernetes for a text, which no object of this kind has yet.
func (r *renderer) newName(text string) string {
	var b strings.Builder
	for _, letter := range strings.ToLower(text) {
		if letter >= 'a' && letter <= 'z' || letter >= '0' && letter <= '9' {
			b.WriteRune(letter)
		} else if b.Len() > 0 && !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	name := strings.Trim(b.String(), "-")
	if len(name) > 50 {
		name = strings.Trim(name[:50], "-")
	}
	if name == "" {
		name = "api"
	}
	unique := "tyk-" + name
	for i := 2; r.names[unique]; i++ {
		unique = fmt.Sprintf("tyk-%s-%d", name, i)
	}
	r.names[unique] = true
	return unique
}

// metadata is that of a Kubernetes object.
type metadata struct {
	Name        string            `json:"name" yaml:"name"`
	Namespace   string            `json:"namespace,omitempty" yaml:"namespace,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty" yaml:"annotations,omitempty"`
}

// manifest is a Kubernetes object.
type manifest struct {
	APIVersion string   `json:"apiVersion" yaml:"apiVersion"`
	Kind       string   `json:"kind" yaml:"kind"`
	Metadata   metadata `json:"metadata" yaml:"metadata"`
	Spec       any      `json:"spec" yaml:"spec"`
}

// apiAnnotation names the API that a route was rendered from.
const apiAnnotation = "meshpass.dev/tyk-api"

// Print writes the objects as YAML.
func (r Rendered) Print(to io.Writer) error {
	routes, rules := map[*vsRoute]string{}, map[*routeRule]string{}
	for _, o := range r.Objects {
		if _, err := io.WriteString(to, "---\n"); err != nil {
			return err
		}
		m, _ := o.(manifest)
		var err error
		switch spec := m.Spec.(type) {
		case virtualServiceSpec:
			err = printObject(to, m, virtualServiceSpec{spec.Hosts, spec.Gateways, []*vsRoute{}}, slices.Collect(slices.Chunk(spec.HTTP, 1)), func(part []*vsRoute) *vsRoute { return part[0] }, routes)
		case httpRouteSpec:
			err = printObject(to, m, httpRouteSpec{spec.ParentRefs, spec.Hostnames, []routeRule{}}, [][]routeRule{spec.Rules}, func(part []routeRule) *routeRule { return &part[0] }, rules)
		default:
			var text string
			if text, err = encodeYAML(o); err == nil {
				_, err = io.WriteString(to, text)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// listIndent is that of the list which is the last member of a spec.
const listIndent = "    "

// printObject writes an object as YAML. The list that is the last member of its spec, which is empty there, is given in parts: a part that several
// objects share is encoded once.
func printObject[T any, K comparable](to io.Writer, m manifest, spec any, parts [][]T, identify func([]T) K, encoded map[K]string) error {
	m.Spec = spec
	head, err := encodeYAML(m)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(to, strings.TrimSuffix(head, " []\n")+"\n"); err != nil {
		return err
	}
	for _, part := range parts {
		key := identify(part)
		if _, known := encoded[key]; !known {
			text, err := encodeYAML(part)
			if err != nil {
				return err
			}
			encoded[key] = listIndent + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n"+listIndent) + "\n"
		}
		if _, err := io.WriteString(to, encoded[key]); err != nil {
			return err
		}
	}
	return nil
}

func encodeYAML(value any) (string, error) {
	var text strings.Builder
	encoder := yaml.NewEncoder(&text)
	encoder.SetIndent(2)
	err := encoder.Encode(value)
	return text.String(), err
}

// PrintStates writes what became of each API, for people.
func (r Rendered) PrintStates(to io.Writer) error {
	var b strings.Builder
	counts := map[tykroute.State]int{}
	for _, a := range r.APIs {
		counts[a.State]++
		if a.State != tykroute.Mapped {
			printer.Fprintf(&b, "%s: API %s: %s: %s\n", a.Place, a.API, a.State, a.Reason)
		}
		for _, note := range a.Notes {
			printer.Fprintf(&b, "%s: API %s: note: %s\n", a.Place, a.API, note)
		}
	}
	for _, u := range r.Unchecked {
		printer.Fprintf(&b, "%s: not checked: %s\n", u.Place, u.Reason)
	}
	for _, note := range r.Notes {
		printer.Fprintf(&b, "note: %s\n", note)
	}
	if len(r.Objects) == 0 && counts[tykroute.Mapped] > 0 {
		b.WriteString("no route is written: correct what is refused or not checked, or add --partial, which denies requests to refused APIs\n")
	}
	printer.Fprintf(&b, "APIs: %d mapped, %d refused, %d not served; objects: %d; not checked: %d\n",
		counts[tykroute.Mapped], counts[tykroute.Refused], counts[tykroute.NotServed], len(r.Objects), len(r.Unchecked))
	_, err := io.WriteString(to, b.String())
	return err
}
