// Package istioproviders merges Meshpass's extension providers into a MeshConfig that another tool manages.
package istioproviders

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
)

// Settings are what the providers depend on.
type Settings struct {
	Service       string // of the authorizer's listener for sidecars; the others have -waypoint and -ingress after it
	Namespace     string // of the authorizer
	ClusterDomain string // of Kubernetes Services
	Port          int    // of the listener for sidecars
	WaypointPort  int
	IngressPort   int
	Timeout       time.Duration // of one Check
	Beside        bool          // sidecars ask the authorizer in their own pod
	Names         []string      // of the providers; empty: all
}

// DefaultSettings are those of manifests/istio/install.yaml.
func DefaultSettings() Settings {
	return Settings{Service: "meshpass", Namespace: "meshpass", ClusterDomain: "cluster.local", Port: 9000, WaypointPort: 9010, IngressPort: 9020, Timeout: 250 * time.Millisecond}
}

// Names are the names of all providers, in the order of manifests/istio/install.yaml.
var Names = []string{"meshpass", "meshpass-open", "meshpass-waypoint", "meshpass-ingress"}

// besideHost is the host of manifests/istio/beside, which leads to the authorizer in the pod.
const besideHost = "authorizer.meshpass.internal"

// buildProviders gives the providers, as members of a YAML object.
func (s Settings) buildProviders() (providers [][]docedit.Pair) {
	service := func(name string) string { return name + "." + s.Namespace + ".svc." + s.ClusterDomain }
	sidecars := service(s.Service)
	if s.Beside {
		sidecars = besideHost
	}
	for _, row := range []struct {
		name, service string
		port          int
		open          bool
	}{
		{Names[0], sidecars, s.Port, false}, {Names[1], sidecars, s.Port, true},
		{Names[2], service(s.Service + "-waypoint"), s.WaypointPort, false}, {Names[3], service(s.Service + "-ingress"), s.IngressPort, false},
	} {
		if len(s.Names) > 0 && !slices.Contains(s.Names, row.name) {
			continue
		}
		grpc := []docedit.Pair{{Key: "service", Value: row.service}, {Key: "port", Value: row.port}, {Key: "timeout", Value: formatSeconds(s.Timeout)}, {Key: "failOpen", Value: row.open}}
		if !row.open {
			grpc = append(grpc, docedit.Pair{Key: "statusOnError", Value: "503"}) // an outage, which clients and alerts distinguish from a denial
		}
		providers = append(providers, []docedit.Pair{{Key: "name", Value: row.name}, {Key: "envoyExtAuthzGrpc", Value: grpc}})
	}
	return providers
}

// formatSeconds is the form of a duration in protobuf's JSON, such as 0.25s.
func formatSeconds(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.9f", d.Seconds()), "0"), ".") + "s"
}

// Result is what the file has and gets.
type Result struct {
	Form      string   `json:"form"`
	Missing   []string `json:"missing"`   // names of providers
	Different []string `json:"different"` // names of providers with other settings, which are replaced
	Notes     []string `json:"notes,omitempty"`
}

// IsComplete reports whether the file has all providers.
func (r Result) IsComplete() bool { return len(r.Missing)+len(r.Different) == 0 }

// Merge gives the file with the providers. Errors: a file without a MeshConfig, or one that cannot be edited.
func Merge(name string, text []byte, settings Settings) (after []byte, result Result, err error) {
	if helmTitle.Match(text) {
		return nil, result, fmt.Errorf("%s: it begins with a title of helm, which is no value: make the file with helm get values RELEASE -o yaml", name)
	}
	if values := strings.TrimSpace(string(text)); values == "null" || values == "{}" { // what helm prints for a release without values
		text = []byte("meshConfig:\n")
	}
	file, err := docedit.Parse(name, text)
	if err != nil {
		return nil, result, err
	}
	place, err := findMeshConfig(file)
	if err != nil {
		return nil, result, err
	}
	result = Result{Form: place.form, Missing: []string{}, Different: []string{}}
	if err := mergeProviders(place, settings.buildProviders(), &result); err != nil {
		return nil, result, err
	}
	if place.literal != nil {
		inner, err := place.file.Apply()
		if err != nil {
			return nil, result, err
		}
		if string(inner) != place.literal.Value {
			if err := file.ReplaceLiteral(place.literal, string(inner)); err != nil {
				return nil, result, err
			}
		}
	}
	after, err = file.Apply()
	return after, result, err
}

// helmTitle is the first line of helm get values without -o.
var helmTitle = regexp.MustCompile(`^(USER-SUPPLIED|COMPUTED) VALUES:`)

// meshPlace is where a file has its MeshConfig.
type meshPlace struct {
	form    string
	file    *docedit.File // the file, or the text of a ConfigMap
	parent  *docedit.Node
	key     string        // of the MeshConfig below parent; "": parent is the MeshConfig
	literal *docedit.Node // the text in a ConfigMap; nil: the MeshConfig is not in one
}

// errNoMeshConfig is the error of a file without a MeshConfig.
var errNoMeshConfig = errors.New("want a MeshConfig: an IstioOperator, an Istio of the Sail operator, Helm values with meshConfig, the ConfigMap istio with its key mesh, " +
	"or a plain MeshConfig; for Helm values without one, add the line meshConfig: {}")

// findMeshConfig finds the only MeshConfig of a file.
func findMeshConfig(file *docedit.File) (*meshPlace, error) {
	var found []*meshPlace
	for _, document := range file.Documents {
		place, err := findInDocument(file, document)
		if err != nil {
			return nil, err
		}
		if place != nil {
			found = append(found, place)
		}
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("%s: %w", file.Name, errNoMeshConfig)
	case 1:
		return found[0], nil
	default:
		return nil, file.Errorf(found[1].parent, "a second MeshConfig: want one in a file")
	}
}

func findInDocument(file *docedit.File, n *docedit.Node) (*meshPlace, error) {
	kind, group := n.Find("kind").String(), n.Find("apiVersion").String()
	switch {
	case kind == "IstioOperator":
		if list := n.FindPath("spec", "values", "meshConfig", "extensionProviders"); !list.IsEmpty() {
			return nil, file.Errorf(list, "spec.meshConfig.extensionProviders would replace this list: move its entries there")
		}
		return placeBelow(file, n, "IstioOperator", "spec")
	case kind == "Istio" && strings.HasPrefix(group, "sailoperator.io/"):
		return placeBelow(file, n, "Istio", "spec", "values")
	case kind == "ConfigMap" && n.FindPath("data", "mesh") != nil:
		mesh := n.FindPath("data", "mesh")
		inner, err := docedit.Parse(file.Name+" (ConfigMap "+n.FindPath("metadata", "name").String()+", mesh)", []byte(mesh.Value))
		if err != nil {
			return nil, err
		}
		if len(inner.Documents) != 1 || inner.Documents[0].Kind != docedit.Object {
			return nil, file.Errorf(mesh, "data.mesh: want one MeshConfig")
		}
		return &meshPlace{form: "ConfigMap", file: inner, parent: inner.Documents[0], literal: mesh}, nil
	case kind != "":
		return nil, nil
	case n.Find("meshConfig") != nil:
		return &meshPlace{form: "Helm values", file: file, parent: n, key: "meshConfig"}, nil
	case slices.ContainsFunc(n.Members, func(m docedit.Member) bool { return slices.Contains(meshFields, m.Key.Value) }):
		return &meshPlace{form: "MeshConfig", file: file, parent: n}, nil
	}
	return nil, nil
}

// placeBelow is the member meshConfig of the object at the end of a path. The last object of the path must exist.
func placeBelow(file *docedit.File, n *docedit.Node, form string, path ...string) (*meshPlace, error) {
	parent := n.FindPath(path...)
	if parent == nil || parent.Kind != docedit.Object {
		return nil, file.Errorf(n, "%s: want an object in %s; write %s: {meshConfig: {}}", form, strings.Join(path, "."), path[len(path)-1])
	}
	return &meshPlace{form: form, file: file, parent: parent, key: "meshConfig"}, nil
}

// meshFields are members of MeshConfig that identify a plain one (istio.io/api/mesh/v1alpha1).
var meshFields = []string{
	"accessLogEncoding", "accessLogFile", "accessLogFormat", "caCertificates", "configSources", "connectTimeout", "defaultConfig", "defaultHttpRetryPolicy",
	"defaultProviders", "discoverySelectors", "enableAutoMtls", "enablePrometheusMerge", "enableTracing", "extensionProviders", "inboundTrafficPolicy",
	"ingressClass", "ingressControllerMode", "ingressService", "localityLbSetting", "meshMTLS", "outboundTrafficPolicy", "pathNormalization",
	"protocolDetectionTimeout", "rootNamespace", "serviceSettings", "tcpKeepalive", "tlsDefaults", "trustDomain", "trustDomainAliases",
}

// mergeProviders adds and replaces providers by name.
func mergeProviders(place *meshPlace, providers [][]docedit.Pair, result *Result) error {
	mesh := place.parent
	if place.key != "" {
		mesh = place.parent.Find(place.key)
	}
	for _, name := range []string{"extension_providers", "ExtensionProviders"} {
		if other := mesh.Find(name); other != nil {
			return place.file.Errorf(other, "%s: write it as extensionProviders", name)
		}
	}
	if mesh.FindPath("pathNormalization", "normalization").String() == "NONE" {
		result.Notes = append(result.Notes, "pathNormalization is NONE: the path that is decided can differ from the one that arrives; set BASE or a stronger one")
	}
	list := mesh.Find("extensionProviders")
	if list != nil && list.Kind != docedit.List && list.Kind != docedit.Null {
		return place.file.Errorf(list, "extensionProviders: want a list")
	}
	known, err := indexProviders(place.file, list)
	if err != nil {
		return err
	}
	var absent []any
	for _, p := range providers {
		name := p[0].Value.(string)
		switch current := known[name]; {
		case current == nil:
			result.Missing = append(result.Missing, name)
			absent = append(absent, p)
		case !hasMembers(current, p):
			result.Different = append(result.Different, name)
			if err := place.file.Replace(current, p); err != nil {
				return err
			}
		}
	}
	if len(absent) == 0 {
		return nil
	}
	if mesh.IsEmpty() || list == nil {
		pair := docedit.Pair{Key: "extensionProviders", Value: absent}
		if place.key == "" {
			return place.file.AddMembers(mesh, "", pair)
		}
		return place.file.AddMembers(place.parent, place.key, pair)
	}
	return place.file.AddItems(mesh, "extensionProviders", absent)
}

// indexProviders gives the entries by name.
func indexProviders(file *docedit.File, list *docedit.Node) (map[string]*docedit.Node, error) {
	known := map[string]*docedit.Node{}
	if list == nil {
		return known, nil
	}
	for _, item := range list.Items {
		name := item.Find("name").String()
		if slices.Contains(Names, name) && known[name] != nil {
			return nil, file.Errorf(item, "the provider %q is there twice: remove one of them", name)
		}
		known[name] = item
	}
	return known, nil
}

// hasMembers reports whether an object has exactly these members. Durations are compared by value.
func hasMembers(n *docedit.Node, pairs []docedit.Pair) bool {
	if n == nil || n.Kind != docedit.Object || len(n.Members) != len(pairs) {
		return false
	}
	for _, p := range pairs {
		value := n.Find(p.Key)
		if value == nil {
			return false
		}
		switch want := p.Value.(type) {
		case []docedit.Pair:
			if !hasMembers(value, want) {
				return false
			}
		default:
			if value.String() != fmt.Sprint(want) && (p.Key != "timeout" || !isSameDuration(value.String(), fmt.Sprint(want))) {
				return false
			}
		}
	}
	return true
}

func isSameDuration(a, b string) bool {
	one, err := time.ParseDuration(a)
	other, err2 := time.ParseDuration(b)
	return err == nil && err2 == nil && one == other
}

// Print writes the result for people.
func (r Result) Print(to io.Writer) error {
	state := "complete"
	if !r.IsComplete() {
		state = "not complete"
	}
	_, err := fmt.Fprintf(to, "%s: %s\n", r.Form, state)
	for _, row := range []struct {
		label string
		texts []string
	}{{"missing", r.Missing}, {"different", r.Different}, {"note", r.Notes}} {
		for _, text := range row.texts {
			fmt.Fprintf(to, "  %s: %s\n", row.label, text)
		}
	}
	return err
}

// Validate rejects settings that no provider can have.
func (s Settings) Validate() error {
	for _, p := range []struct {
		name string
		port int
	}{{"--port", s.Port}, {"--waypoint-port", s.WaypointPort}, {"--ingress-port", s.IngressPort}} {
		if p.port < 1 || p.port > 65535 {
			return fmt.Errorf("%s: want 1 to 65535, not %d", p.name, p.port)
		}
	}
	if !label.MatchString(s.Service) {
		return fmt.Errorf("--service: want the name of a Service, not %q", s.Service)
	}
	if !label.MatchString(s.Namespace) {
		return fmt.Errorf("--namespace: want the name of a namespace, not %q", s.Namespace)
	}
	if !domain.MatchString(s.ClusterDomain) {
		return fmt.Errorf("--cluster-domain: want a domain such as cluster.local, not %q", s.ClusterDomain)
	}
	if s.Timeout < time.Millisecond || s.Timeout > 10*time.Second { // without one a request waits for 600 s
		return fmt.Errorf("--timeout: want 1ms to 10s, not %s", s.Timeout)
	}
	return nil
}

var (
	label  = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	domain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)
)
