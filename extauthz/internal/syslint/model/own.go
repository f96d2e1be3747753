package model

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/duration"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
)

// Plugin is the plugin's configuration.
type Plugin struct {
	Content *objects.Content
	Root    *objects.Node
	Config  *settings.Config
}

// AuthorizerConfig is the authorizer's configuration.
type AuthorizerConfig struct {
	Content   *objects.Content
	Root      *objects.Node
	Domains   identity.TrustDomains
	Trust     []Trust
	Listeners []Listener
	Clients   *objects.Node // of tls
	Mode      string        // of tls
	Shadow    bool          // policies.unguarded
}

// Trust is an entry of the section trust.
type Trust struct {
	Issuer, Audience     *objects.Node
	MaxLifetime          time.Duration
	LifetimeNode         *objects.Node
	Subjects, Requesters *objects.Node
	KeyFile              *objects.Node
	Node                 *objects.Node
}

// Listener is an entry of the section listeners.
type Listener struct {
	Port           int
	Caller, Callee string
	Clients        *objects.Node
	Node           *objects.Node
}

// Document is an AccessPolicy.
type Document struct {
	Name     string
	Root     *objects.Node
	Compiled *policy.Document
	Content  *objects.Content
	OnOutage string
}

// Spec is the member spec.
func (d *Document) Spec() *objects.Node { return d.Root.Find("spec") }

func (m *Model) readOwn() {
	for _, c := range m.Set.ContentsOf(objects.PluginFile) {
		config, checker, err := settings.LoadWith(strictyaml.AnyVariable, c.Name, c.Text)
		if err == nil {
			err = checker.ErrOfShape()
		}
		if err != nil {
			m.addProblems(c, err)
			continue
		}
		m.addProblems(c, strictyaml.WithoutVariables(c.Text, checker.Err()))
		m.Plugins = append(m.Plugins, &Plugin{Content: c, Root: c.Root, Config: config})
	}
	for _, c := range m.Set.ContentsOf(objects.Authorizer) {
		if err := app.CheckShape(strictyaml.AnyVariable, c.Name, c.Text); err != nil {
			m.addProblems(c, err)
			continue
		}
		m.addProblems(c, app.CheckValues(c.Name, c.Text))
		m.Authorizers = append(m.Authorizers, readAuthorizer(c))
	}
	for _, c := range m.Set.ContentsOf(objects.Overrides) {
		if _, err := source.ParseOverrides(c.Text, m.Domains(), time.Now()); err != nil {
			m.addProblems(c, err)
		}
	}
	for _, c := range m.Set.ContentsOf(objects.Revocations) {
		if _, err := revocation.Parse(c.Text); err != nil {
			m.addProblems(c, err)
		}
	}
	for _, c := range m.Set.ContentsOf(objects.ServiceList) {
		if _, err := services.Parse(c.Text); err != nil {
			m.addProblems(c, err)
		}
	}
	m.readDocuments()
}

// addProblems records the mistakes of a file at their places.
func (m *Model) addProblems(c *objects.Content, err error) {
	for _, p := range strictyaml.AsProblems(err) {
		place := c.Root.Place()
		p.Line += c.Line
		shift := p.Line - max(place.KeyLine, 1)
		switch {
		case place.Key != "":
			if place.Line > 0 && place.KeyLine > 0 && place.Line > 1 {
				place.Line += shift
			}
			place.KeyLine, place.KeyColumn = p.Line, p.Column
		case place.Line > 0:
			place.Line, place.Column = p.Line, p.Column
		}
		m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: place, Reason: string(c.Kind) + ": " + p.Message})
	}
}

// AuthorizerWorkloads gives the workloads that mount an authorizer's configuration.
func (m *Model) AuthorizerWorkloads(a *AuthorizerConfig) []*Workload {
	var all []*Workload
	for _, w := range m.Workloads {
		if a.Content.Namespace != "" && w.Namespace == a.Content.Namespace && w.mounts(a.Content.Holder) {
			all = append(all, w)
		}
	}
	return all
}

// mounts reports whether a workload has a volume of the ConfigMap.
func (w *Workload) mounts(configMap string) bool {
	found := false
	w.PodSpec.Find("volumes").Walk(func(n *objects.Node) bool {
		found = found || n.Key == "name" && n.Parent() != nil && n.Parent().Key == "configMap" && n.String() == configMap
		return !found
	})
	return found
}

func readAuthorizer(c *objects.Content) *AuthorizerConfig {
	root := c.Root
	a := &AuthorizerConfig{Content: c, Root: root, Domains: identity.TrustDomains{Local: "cluster.local"}, Clients: root.FindPath("tls", "clients"), Mode: root.FindPath("tls", "mode").String()}
	if local := root.FindPath("trustDomains", "local").String(); local != "" {
		a.Domains.Local = local
	}
	a.Domains.Aliases = root.FindPath("trustDomains", "aliases").Texts()
	a.Shadow = root.FindPath("policies", "unguarded").String() == "shadow"
	for _, n := range root.Find("trust").Entries() {
		t := Trust{Issuer: n.Find("issuer"), Audience: n.Find("audience"), Subjects: n.Find("subjects"), Requesters: n.Find("requesters"), KeyFile: n.FindPath("jwks", "file"), Node: n, LifetimeNode: n.Find("maxLifetime")}
		var value duration.Value
		if value.Set(t.LifetimeNode.String()) == nil {
			t.MaxLifetime = time.Duration(value)
		}
		a.Trust = append(a.Trust, t)
	}
	for _, n := range root.Find("listeners").Entries() {
		address := n.Find("grpc").String()
		port, _ := strconv.Atoi(address[strings.LastIndex(address, ":")+1:])
		a.Listeners = append(a.Listeners, Listener{Port: port, Caller: n.Find("caller").String(), Callee: n.Find("callee").String(), Clients: n.Find("clients"), Node: n})
	}
	return a
}

// Domains are the trust domains of the first authorizer; without one, those of a default installation.
func (m *Model) Domains() identity.TrustDomains {
	if len(m.Authorizers) > 0 {
		return m.Authorizers[0].Domains
	}
	return identity.TrustDomains{Local: "cluster.local"}
}

// readDocuments compiles the documents. Rejected ones are named.
func (m *Model) readDocuments() {
	loader := source.Loader{Domains: m.Domains(), NoHomeIssuer: len(m.Authorizers) > 0 && !slices.ContainsFunc(m.Authorizers, (*AuthorizerConfig).hasHome)}
	type nameInFolder struct{ folder, name string }
	known := map[nameInFolder]bool{}
	for _, c := range m.Set.ContentsOf(objects.AccessPolicy) {
		if len(c.Text) == 0 {
			m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: c.Root.Place(), Reason: "an AccessPolicy in a List, which no authorizer reads"})
			continue
		}
		documents, problems := loader.Documents(source.Dir{Name: "lint", MayTarget: m.mayTarget(), Files: policycli.MemoryFolder(map[string][]byte{"document.yaml": c.Text})})
		if len(problems) > 0 {
			m.addProblems(c, problems)
		}
		for _, d := range documents {
			in := nameInFolder{c.Namespace + "/" + c.Holder, d.Policy.Metadata.Name}
			if c.Holder == "" {
				in.folder = path.Dir(c.Root.Place().Source)
			}
			if known[in] {
				m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: c.Root.Place(), Reason: fmt.Sprintf("AccessPolicy: another document of its folder has the name %s: names are unique in a folder", in.name)})
			}
			known[in] = true
			m.Documents = append(m.Documents, &Document{Name: d.Policy.Metadata.Name, Root: c.Root, Compiled: d.Compiled, Content: c, OnOutage: d.Policy.Spec.OnOutage})
		}
	}
}

// hasHome reports an authorizer with an entry for a fleet of our own.
func (a *AuthorizerConfig) hasHome() bool {
	return slices.ContainsFunc(a.Trust, func(t Trust) bool {
		home := t.Node.Find("home")
		return home.IsTrue() || home == nil && t.KeyFile != nil
	})
}

// mayTarget bounds the targets of documents, where the only authorizer has one folder; without such a bound, everything.
func (m *Model) mayTarget() []string {
	if len(m.Authorizers) != 1 {
		return nil
	}
	dirs := m.Authorizers[0].Root.FindPath("policies", "dirs").Entries()
	if len(dirs) != 1 {
		return nil
	}
	return dirs[0].Find("mayTarget").Texts()
}

// DocumentsFor gives the documents that target a workload by its account.
func (m *Model) DocumentsFor(w *Workload) []*Document {
	return m.documentsOf(identity.Workload(w.Identity()))
}

func (m *Model) documentsOf(callee identity.Workload) (all []*Document) {
	for _, d := range m.Documents {
		if slices.ContainsFunc(d.Compiled.Spec().Targets, func(p identity.Pattern) bool { return p.Match(callee) }) {
			all = append(all, d)
		}
	}
	return all
}

// DocumentsAtGateways gives the documents for what a policy with targets asks about: Services of its namespace behind a waypoint, or the
// gateway that the listener of its provider is for.
func (m *Model) DocumentsAtGateways(policy *objects.Object, p *Provider) (all []*Document) {
	port := p.Config.Find("port").Int()
	for _, a := range m.Authorizers {
		for _, l := range a.Listeners {
			if l.Port == port && strings.HasPrefix(l.Callee, "gateway/") {
				all = append(all, m.documentsOf(identity.Workload(l.Callee))...)
			}
		}
	}
	if len(m.TargetRefs(policy)) == 0 {
		return all
	}
	prefix := "service/" + policy.Namespace + "/"
	for _, d := range m.Documents {
		if slices.ContainsFunc(d.Spec().FindPath("targets", "workloads").Texts(), func(text string) bool { return strings.HasPrefix(text, prefix) }) {
			all = append(all, d)
		}
	}
	return all
}
