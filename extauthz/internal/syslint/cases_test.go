package syslint_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// installation is a complete installation as texts, by their titles: KIND NAMESPACE/NAME for an object, with :KEY for a file in a ConfigMap.
type installation struct {
	texts map[string]string
	order []string
	names map[string]string // of ConfigMaps, with kustomize's hash
}

// newInstallation is what is shipped, manifests/overlays/dev and manifests/istio/install.yaml, with the demo's workloads.
func newInstallation(t *testing.T, overlays ...string) *installation {
	t.Helper()
	in := &installation{texts: map[string]string{}, names: map[string]string{}}
	for _, overlay := range append([]string{"overlays/dev"}, overlays...) {
		for _, text := range renderOverlay(t, overlay) {
			in.add(t, text)
		}
	}
	for _, file := range []string{"../../../manifests/istio/install.yaml", "testdata/shop.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range strings.Split(string(text), "\n---\n") {
			in.add(t, document)
		}
	}
	return in
}

var rendered = map[string][]string{} // by overlay

// renderOverlay renders an overlay of manifests once.
func renderOverlay(t *testing.T, overlay string) []string {
	t.Helper()
	if rendered[overlay] != nil {
		return rendered[overlay]
	}
	all, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "../../../manifests/"+overlay)
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range all.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		rendered[overlay] = append(rendered[overlay], string(text))
	}
	return rendered[overlay]
}

// add adds an object, and the files of a ConfigMap by themselves.
func (in *installation) add(t *testing.T, text string) {
	t.Helper()
	var o struct {
		Kind     string
		Metadata struct{ Name, Namespace string }
		Data     map[string]string
	}
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%s: %s", err, text)
	}
	title := strings.TrimPrefix(o.Kind+" "+o.Metadata.Namespace+"/"+o.Metadata.Name, "/")
	if o.Metadata.Namespace == "" {
		title = o.Kind + " " + o.Metadata.Name
	}
	if o.Kind != "ConfigMap" {
		in.put(title, text)
		return
	}
	name := title
	if i := strings.LastIndex(name, "-"); len(name)-i == 11 { // the hash of kustomize
		name = name[:i]
	}
	in.names[name] = o.Metadata.Name
	for _, key := range slices.Sorted(maps.Keys(o.Data)) {
		in.put(name+":"+key, o.Data[key])
	}
}

func (in *installation) put(title, text string) {
	if _, known := in.texts[title]; !known {
		in.order = append(in.order, title)
	}
	in.texts[title] = text
}

// edit replaces lines of a text. The lines before are compared without their indentation, which the first new line takes over; one line may be
// a part of a longer one.
func (in *installation) edit(t *testing.T, title string, before, after []string) {
	t.Helper()
	text, known := in.texts[title]
	if !known {
		t.Fatalf("no %q; there are %q", title, in.order)
	}
	if len(before) == 0 {
		in.texts[title] = text + "\n" + strings.Join(after, "\n") + "\n"
		return
	}
	if len(before) == 1 && len(after) <= 1 {
		old := strings.TrimSpace(before[0])
		if strings.Count(text, old) != 1 {
			t.Fatalf("%s: %q is there %d times", title, old, strings.Count(text, old))
		}
		in.texts[title] = strings.Replace(text, old, strings.Join(after, ""), 1)
		return
	}
	lines := strings.Split(text, "\n")
	found := -1
	for i := 0; i+len(before) <= len(lines); i++ {
		if slices.EqualFunc(lines[i:i+len(before)], before, func(a, b string) bool { return strings.TrimSpace(a) == strings.TrimSpace(b) }) {
			if found >= 0 {
				t.Fatalf("%s: %q is there twice", title, before)
			}
			found = i
		}
	}
	if found < 0 {
		t.Fatalf("%s: %q is not there", title, before)
	}
	indent := lines[found][:len(lines[found])-len(strings.TrimLeft(lines[found], " "))]
	var replaced []string
	for _, line := range after {
		replaced = append(replaced, indent+line)
	}
	in.texts[title] = strings.Join(slices.Concat(lines[:found], replaced, lines[found+len(before):]), "\n")
}

// files writes the installation as files.
func (in *installation) read(t *testing.T) *objects.Set {
	t.Helper()
	reader := objects.NewReader()
	configMaps := map[string]map[string]string{}
	for _, title := range in.order {
		text, known := in.texts[title]
		if !known {
			continue
		}
		name, key, isFile := strings.Cut(title, ":")
		if !isFile {
			reader.ReadText(title+".yaml", []byte(text))
			continue
		}
		if configMaps[name] == nil {
			configMaps[name] = map[string]string{}
		}
		configMaps[name][key] = text
	}
	for _, title := range slices.Sorted(maps.Keys(configMaps)) {
		namespace, name, _ := strings.Cut(strings.TrimPrefix(title, "ConfigMap "), "/")
		if written := in.names[title]; written != "" {
			name = written
		}
		text, err := yaml.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name, "namespace": namespace}, "data": configMaps[title]})
		if err != nil {
			t.Fatal(err)
		}
		reader.ReadText(title+".yaml", text)
	}
	return reader.Set
}

// guardServices adds what a waypoint in ambient mode needs beside its own overlay, as docs/topologies.md describes it.
func (in *installation) guardServices(t *testing.T) {
	t.Helper()
	in.edit(t, "ConfigMap meshpass/meshpass-config:meshpass.yaml", []string{"listeners:"},
		[]string{"listeners:\n  - {name: waypoint, grpc: \"0.0.0.0:9010\", caller: xfcc, callee: service, services: services.yaml, clients: [ns/shop/sa/waypoint]}"})
	for _, name := range []string{"orders", "inventory", "reports"} {
		in.edit(t, "ConfigMap meshpass/meshpass-policies:"+name+".yaml", []string{"targets: {workloads: [ns/shop/sa/" + name + "]}"}, []string{"targets: {workloads: [service/shop/" + name + "]}"})
	}
	in.admit("shop", "9010")
}

// admit lets the sidecar of the authorizer pass the Checks of a namespace to a further port.
func (in *installation) admit(namespace, port string) {
	const title = "AuthorizationPolicy meshpass/callers"
	in.texts[title] = strings.Replace(in.texts[title], "  rules:\n", "  rules:\n  - from: [{source: {namespaces: ["+namespace+"]}}]\n    to: [{operation: {ports: [\""+port+"\"], paths: [/envoy.service.auth.v3.Authorization/Check]}}]\n", 1)
}

// lintCase is a paragraph of testdata/cases: one fault, which gives one code, or a change that resembles it and gives no code.
type lintCase struct {
	file, code, title string
	fault             bool
	overlays          []string
	steps             []func(*testing.T, *installation)
}

// readCases reads all files. In them "## CODE" begins a code, "fault TITLE" and "clean TITLE" a case; "edit TITLE" is followed by lines
// "- old" and "+ new", "add" and "replace TITLE" by lines "| text"; "remove TITLE" and "overlay DIR" are a line by themselves.
// "ambient" is the overlay of a waypoint with all that belongs to it, "admit NAMESPACE PORT" admits a gateway to the authorizer.
func readCases(t *testing.T) (cases []*lintCase) {
	t.Helper()
	files, err := filepath.Glob("testdata/cases/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, parseCases(t, filepath.Base(file), string(data))...)
	}
	return cases
}

func parseCases(t *testing.T, file, text string) (cases []*lintCase) {
	t.Helper()
	code := ""
	var current *lintCase
	lines := strings.Split(text, "\n")
	take := func(i *int, marks string) (found []string) {
		for *i+1 < len(lines) && lines[*i+1] != "" && strings.ContainsRune(marks, rune(lines[*i+1][0])) {
			*i++
			found = append(found, lines[*i])
		}
		return found
	}
	for i := 0; i < len(lines); i++ {
		word, rest, _ := strings.Cut(lines[i], " ")
		switch word {
		case "", "#":
		case "##":
			code = rest
		case "fault", "clean":
			current = &lintCase{file: file, code: code, title: rest, fault: word == "fault"}
			cases = append(cases, current)
		case "overlay":
			current.overlays = append(current.overlays, rest)
		case "ambient":
			current.overlays = append(current.overlays, "istio/waypoint")
			current.steps = append(current.steps, func(t *testing.T, in *installation) { in.guardServices(t) })
		case "admit":
			namespace, port, _ := strings.Cut(rest, " ")
			current.steps = append(current.steps, func(_ *testing.T, in *installation) { in.admit(namespace, port) })
		case "edit":
			var before, after []string
			for _, line := range take(&i, "-+") {
				if line[0] == '-' {
					before = append(before, strings.TrimPrefix(line[1:], " "))
				} else {
					after = append(after, strings.TrimPrefix(line[1:], " "))
				}
			}
			current.steps = append(current.steps, func(t *testing.T, in *installation) { in.edit(t, rest, before, after) })
		case "remove":
			current.steps = append(current.steps, func(t *testing.T, in *installation) {
				if _, known := in.texts[rest]; !known {
					t.Fatalf("no %q", rest)
				}
				delete(in.texts, rest)
			})
		case "add", "replace":
			var body []string
			for _, line := range take(&i, "|") {
				body = append(body, strings.TrimPrefix(line[1:], " "))
			}
			document := strings.Join(body, "\n") + "\n"
			current.steps = append(current.steps, func(t *testing.T, in *installation) {
				switch {
				case word == "replace":
					in.put(rest, document)
					return
				case rest == "ConfigMap": // one more file of the documents
					in.put("ConfigMap meshpass/meshpass-policies:added.yaml", document)
					return
				}
				for _, each := range strings.Split(document, "---\n") {
					in.add(t, each)
				}
			})
		default:
			t.Fatalf("%s:%d: %q", file, i+1, lines[i])
		}
	}
	return cases
}

// Each fault gives its code and no other one, and each change that resembles it gives no code.
func TestCases(t *testing.T) {
	for _, each := range readCases(t) {
		kind := "clean"
		if each.fault {
			kind = "fault"
		}
		t.Run(fmt.Sprintf("%s/%s %s", each.code, kind, each.title), func(t *testing.T) {
			in := newInstallation(t, each.overlays...)
			for _, step := range each.steps {
				step(t, in)
			}
			report := syslint.Run(in.read(t))
			for _, u := range report.Unchecked {
				t.Errorf("not checked: %s: %s", u.Place, u.Reason)
			}
			var want, got []string
			if each.fault {
				want = []string{each.code}
			}
			for _, f := range report.Findings {
				got = append(got, f.Code)
			}
			slices.Sort(got)
			if got = slices.Compact(got); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
				for _, f := range report.Findings {
					t.Logf("%s: %s: %s", f.Place, f.Code, f.Message)
				}
			}
		})
	}
}

// Each code has a fault and a change that resembles it.
func TestEveryCodeHasCases(t *testing.T) {
	faults, cleans := map[string]int{}, map[string]int{}
	for _, each := range readCases(t) {
		if each.fault {
			faults[each.code]++
		} else {
			cleans[each.code]++
		}
	}
	known := map[string]bool{}
	for _, rule := range syslint.Rules() {
		if known[rule.Code] {
			t.Errorf("%s is defined twice", rule.Code)
		}
		known[rule.Code] = true
		if faults[rule.Code] == 0 || cleans[rule.Code] == 0 {
			t.Errorf("%s: %d faults, %d clean changes", rule.Code, faults[rule.Code], cleans[rule.Code])
		}
	}
	for code := range faults {
		if !known[code] {
			t.Errorf("no code %s", code)
		}
	}
}

// What is shipped has no findings, and everything in it is checked.
func TestShipped(t *testing.T) {
	for name, overlays := range map[string][]string{
		"with workloads": nil, "egress": {"istio/egress"}, "fence": {"istio/fence"}, "beside": {"istio/beside"}, "production": {"overlays/production"},
	} {
		t.Run(name, func(t *testing.T) {
			report := syslint.Run(newInstallation(t, overlays...).read(t))
			for _, f := range report.Findings {
				t.Errorf("%s: %s: %s", f.Place, f.Code, f.Message)
			}
			for _, u := range report.Unchecked {
				t.Errorf("%s: %s", u.Place, u.Reason)
			}
		})
	}
}

// A part of the installation has no findings about what is not in the input.
func TestParts(t *testing.T) {
	is := func(prefixes ...string) func(string) bool {
		return func(title string) bool {
			return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(title, prefix) })
		}
	}
	not := func(is func(string) bool) func(string) bool { return func(title string) bool { return !is(title) } }
	for name, has := range map[string]func(string) bool{
		"workloads":                         is("Namespace ", "Deployment shop/", "Service shop/", "ServiceAccount shop/"),
		"workloads and documents":           is("Namespace ", "Deployment shop/", "Service shop/", "ConfigMap meshpass/meshpass-policies"),
		"workloads and MeshConfig":          is("Namespace ", "Service shop/", "IstioOperator "),
		"no documents":                      not(is("ConfigMap meshpass/meshpass-policies")),
		"no tyk.conf":                       not(is("ConfigMap edge/tyk-gateway:")),
		"a waypoint":                        is("Gateway shop/", "AuthorizationPolicy shop/meshpass"),
		"no gateway, and the issuer's name": not(is("Deployment edge/tyk-gateway", "ConfigMap edge/", "ServiceAccount edge/", "Service edge/")),
	} {
		t.Run(name, func(t *testing.T) {
			in := newInstallation(t)
			if name == "a waypoint" {
				in = newInstallation(t, "istio/waypoint")
			}
			for _, title := range in.order {
				if !has(title) {
					delete(in.texts, title)
				}
			}
			report := syslint.Run(in.read(t))
			for _, f := range report.Findings {
				t.Errorf("%s: %s: %s", f.Place, f.Code, f.Message)
			}
			if report.Objects == 0 {
				t.Error("nothing was checked")
			}
		})
	}
}
