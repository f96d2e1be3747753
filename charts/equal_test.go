package charts_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/charts/internal/render"
)

const manifests = "../manifests"

// renderers are all ways to render a chart.
var renderers = map[string]func(render.Release) ([]render.Object, error){"helm4": render.Helm4, "helm3": render.Helm3}

func authorizer(values ...string) render.Release {
	return render.Release{Chart: "meshpass", Name: "meshpass", Namespace: "meshpass", Values: parseValues(values...)}
}

func istio(values ...string) render.Release {
	return render.Release{Chart: "meshpass-istio", Name: "meshpass-istio", Namespace: "meshpass", Values: parseValues(values...)}
}

// parseValues merges values as `helm install -f` does: objects by key, all else as a whole.
func parseValues(texts ...string) map[string]any {
	all := map[string]any{}
	for _, text := range texts {
		var values map[string]any
		if err := yaml.UnmarshalStrict([]byte(text), &values); err != nil {
			panic(fmt.Sprintf("%v in %s", err, text)) // a mistake in a test
		}
		merge(all, values)
	}
	return all
}

func merge(into, from map[string]any) {
	for key, value := range from {
		below, isObject := value.(map[string]any)
		if existing, both := into[key].(map[string]any); isObject && both {
			merge(existing, below)
		} else {
			into[key] = value
		}
	}
}

// installValues are those of the overlay install.
func installValues(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "install.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestChartsEqualTheManifests compares what the charts render with the manifests, object by object.
func TestChartsEqualTheManifests(t *testing.T) {
	const onlyIstio = `{policies: {closed: {enabled: false}, observe: {enabled: false}}, destinationRule: {enabled: false}, trailers: {enabled: false}}`
	install := installValues(t)
	backstop := `{policies: {open: {enabled: true, backstop: {issuer: "https://tyk.demo.meshpass.dev", audiences: [demo.meshpass.dev], jwks: ` + quoteJSON(backstopKeys(t)) + `}}}}`
	for name, row := range map[string]struct {
		releases              []render.Release
		resources, components []string
		without               []string // kinds of the manifests that no chart has
		files                 []string // further files of the manifests
		config                string   // what the user writes into the overlay's meshpass.yaml
	}{
		"overlays/install": {
			releases: []render.Release{authorizer(install), istio()}, resources: []string{"overlays/install"},
		},
		"overlays/install, components": {
			releases:  []render.Release{authorizer(install, `{autoscaling: {enabled: true}, podMonitor: {enabled: true, gateway: {enabled: true}}, prometheusRule: {enabled: true}, dashboards: {enabled: true}}`), istio()},
			resources: []string{"overlays/install"}, components: []string{"components/autoscaling", "components/dashboards", "components/monitoring", "components/monitoring-gateway"},
		},
		"audit chain": {
			releases:  []render.Release{authorizer(install, chainValues), istio()},
			resources: []string{"overlays/install"}, components: []string{"components/audit-chain"}, config: `audit: {chain: {key: audit-key/audit.pem}}`,
		},
		"audit files with a chain": {
			releases:  []render.Release{authorizer(install, fileValues), istio()},
			resources: []string{"overlays/install"}, components: []string{"components/audit-chain", "components/audit-file"},
			config: `audit: {output: "/var/log/meshpass/${POD_NAME}.jsonl", chain: {key: audit-key/audit.pem}}`,
		},
		"istio":       {releases: []render.Release{istio(backstop)}, resources: []string{"istio"}},
		"egress":      {releases: []render.Release{istio(onlyIstio, `egress: {enabled: true}`)}, resources: []string{"istio/egress"}},
		"strict":      {releases: []render.Release{istio(onlyIstio, `mutualTLS: {namespaces: [shop, meshpass, edge]}`)}, resources: []string{"istio/strict"}},
		"fence":       {releases: []render.Release{istio(onlyIstio, `{fence: {namespaces: [shop]}, policies: {closed: {enabled: true}}}`)}, resources: []string{"istio/fence"}, files: []string{"istio/authorization-policy.yaml"}},
		"waypoint":    {releases: []render.Release{istio(onlyIstio, `waypoints: [{namespace: shop, name: waypoint, create: true, guard: true}]`)}, resources: []string{"istio/waypoint"}},
		"ingress":     {releases: []render.Release{istio(onlyIstio, `ingress: {selector: {istio: ingressgateway}}`)}, resources: []string{"istio/ingress"}, without: []string{"Gateway", "VirtualService"}},
		"gateway-api": {releases: []render.Release{istio(onlyIstio, `ingress: {gateways: [{namespace: istio-ingress, name: tyk}]}`)}, resources: []string{"istio/gateway-api"}, without: []string{"Gateway", "HTTPRoute"}},
	} {
		want, err := render.Kustomize(paths(row.resources), paths(row.components))
		if err != nil {
			t.Fatal(err)
		}
		writeConfig(t, want, row.config)
		for _, file := range paths(row.files) {
			want = append(want, readObjects(t, file)...)
		}
		// Helm makes the namespace itself, or uses one that exists.
		want = slices.DeleteFunc(want, func(o render.Object) bool {
			return slices.Contains(append(row.without, "Namespace"), o["kind"].(string))
		})
		for helm, renderChart := range renderers {
			t.Run(name+"/"+helm, func(t *testing.T) {
				var got []render.Object
				for _, release := range row.releases {
					objects, err := renderChart(release)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, objects...)
				}
				// Kustomize has no hooks, and no other way to give istiod the providers than a command.
				got = slices.DeleteFunc(got, func(o render.Object) bool {
					return isRemovalCheck(o) || render.Name(o) == "ConfigMap istio-system meshpass-providers"
				})
				compareObjects(t, got, want)
			})
		}
	}
}

// writeConfig writes values into the meshpass.yaml of an overlay, as the comments of a component ask for.
func writeConfig(t *testing.T, objects []render.Object, values string) {
	t.Helper()
	for _, o := range objects {
		if name := render.Name(o); values == "" || !strings.HasPrefix(name, "ConfigMap meshpass "+configName) {
			continue
		}
		data := o["data"].(map[string]any)
		text, err := yaml.Marshal(parseValues(data["meshpass.yaml"].(string), values))
		if err != nil {
			t.Fatal(err)
		}
		data["meshpass.yaml"] = string(text)
	}
}

func quoteJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err)
	}
	return string(quoted)
}

// backstopKeys is the key set of manifests/istio/backstop.yaml.
func backstopKeys(t *testing.T) string {
	t.Helper()
	objects := readObjects(t, filepath.Join(manifests, "istio", "backstop.yaml"))
	rules := objects[0]["spec"].(map[string]any)["jwtRules"].([]any)
	return rules[0].(map[string]any)["jwks"].(string)
}

func readObjects(t *testing.T, file string) []render.Object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	objects, err := render.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func paths(folders []string) (list []string) {
	for _, folder := range folders {
		list = append(list, filepath.Join(manifests, filepath.FromSlash(folder)))
	}
	return list
}

// isRemovalCheck reports whether an object is a part of removalCheck.
func isRemovalCheck(o render.Object) bool {
	hook := hookOf(o)
	return strings.Contains(hook, "pre-delete") || strings.Contains(hook, "pre-upgrade")
}

func hookOf(o render.Object) string {
	annotations, _ := o["metadata"].(map[string]any)["annotations"].(map[string]any)
	hook, _ := annotations["helm.sh/hook"].(string)
	return hook
}

func compareObjects(t *testing.T, got, want []render.Object) {
	t.Helper()
	gotTexts, wantTexts := normalize(t, got), normalize(t, want)
	for _, name := range slices.Sorted(maps.Keys(gotTexts)) {
		if _, both := wantTexts[name]; !both {
			t.Errorf("only the chart has %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wantTexts)) {
		switch text, both := gotTexts[name]; {
		case !both:
			t.Errorf("the chart lacks %s", name)
		case text != wantTexts[name]:
			t.Errorf("%s: the chart (+) and the manifests (-) differ\n%s", name, cmp.Diff(wantTexts[name], text))
		}
	}
}

// normalize gives the text of each object, without what Helm and kustomize add themselves: labels and annotations of Helm, and
// the hash in the name of a generated ConfigMap. Configuration is compared as YAML.
func normalize(t *testing.T, objects []render.Object) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, o := range objects {
		text, err := json.Marshal(removeAdditions(o))
		if err != nil {
			t.Fatal(err)
		}
		for _, generated := range objects {
			name := generated["metadata"].(map[string]any)["name"].(string)
			if plain, hash, found := cutHash(name); found && generated["kind"] == "ConfigMap" {
				text = []byte(strings.ReplaceAll(string(text), plain+"-"+hash, plain))
			}
		}
		var plain render.Object
		if err := json.Unmarshal(text, &plain); err != nil {
			t.Fatal(err)
		}
		if data, isMap := plain["data"].(map[string]any); isMap {
			for key, value := range data {
				var document any
				if err := yaml.Unmarshal([]byte(value.(string)), &document); err != nil {
					t.Fatal(err)
				}
				data[key] = document
			}
		}
		name := render.Name(plain)
		if _, twice := texts[name]; twice {
			t.Errorf("%s exists twice", name)
		}
		pretty, err := yaml.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(pretty)
	}
	return texts
}

const configName = "meshpass-config"

// cutHash divides the name of a ConfigMap that kustomize generates with a hash.
func cutHash(name string) (plain, hash string, found bool) {
	hash, found = strings.CutPrefix(name, configName+"-")
	return configName, hash, found
}

// removeAdditions returns a copy without Helm's labels and annotations. A label or annotation of ours stays.
func removeAdditions(value any) any {
	switch value := value.(type) {
	case map[string]any:
		all := map[string]any{}
		for key, below := range value {
			if strings.HasPrefix(key, "app.kubernetes.io/") || strings.HasPrefix(key, "helm.sh/") || key == "checksum/config" {
				continue
			}
			cleaned := removeAdditions(below)
			if object, isObject := cleaned.(map[string]any); isObject && len(object) == 0 && (key == "labels" || key == "annotations") {
				continue
			}
			all[key] = cleaned
		}
		return all
	case []any:
		var all []any
		for _, below := range value {
			all = append(all, removeAdditions(below))
		}
		return all
	default:
		return value
	}
}
