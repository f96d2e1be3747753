package istioproviders_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/istioproviders"
)

func merge(t *testing.T, text string, settings istioproviders.Settings) (string, istioproviders.Result) {
	t.Helper()
	after, result, err := istioproviders.Merge("f", []byte(text), settings)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return string(after), result
}

// The shipped manifests have exactly the providers of the command.
func TestShippedManifests(t *testing.T) {
	beside := istioproviders.DefaultSettings()
	beside.Beside = true
	for path, settings := range map[string]istioproviders.Settings{"install.yaml": istioproviders.DefaultSettings(), "beside/install.yaml": beside} {
		text, err := os.ReadFile("../../../manifests/istio/" + path)
		if err != nil {
			t.Fatal(err)
		}
		after, result := merge(t, string(text), settings)
		if !result.IsComplete() || after != string(text) || result.Form != "IstioOperator" {
			t.Errorf("%s: %+v", path, result)
		}
		settings.Beside = !settings.Beside
		if _, result := merge(t, string(text), settings); !slices.Equal(result.Different, []string{"meshpass", "meshpass-open"}) {
			t.Errorf("%s with the other place of the authorizer: %+v", path, result)
		}
	}
}

const entry = `- name: meshpass
  envoyExtAuthzGrpc:
    service: meshpass.meshpass.svc.cluster.local
    port: 9000
    timeout: 0.25s
    failOpen: false
    statusOnError: "503"
`

// entries is the entry of one provider, indented.
func entries(indent string) string {
	return indent + strings.TrimSuffix(strings.ReplaceAll(entry, "\n", "\n"+indent), indent)
}

// Each form keeps its other parts.
func TestForms(t *testing.T) {
	settings := istioproviders.DefaultSettings()
	settings.Names = []string{"meshpass"}
	for name, row := range map[string]struct{ form, before, after string }{
		"IstioOperator with others": {"IstioOperator",
			"kind: IstioOperator\nspec:\n  meshConfig:\n    # ours\n    extensionProviders:\n    - name: zipkin # tracing\n      zipkin: {service: z, port: 9411}\n    trustDomain: td\n",
			"kind: IstioOperator\nspec:\n  meshConfig:\n    # ours\n    extensionProviders:\n    - name: zipkin # tracing\n      zipkin: {service: z, port: 9411}\n" + entries("    ") + "    trustDomain: td\n"},
		"IstioOperator without meshConfig": {"IstioOperator", "kind: IstioOperator\nspec:\n  profile: default\n",
			"kind: IstioOperator\nspec:\n  profile: default\n  meshConfig:\n    extensionProviders:\n" + entries("      ")},
		"Sail": {"Istio", "apiVersion: sailoperator.io/v1\nkind: Istio\nspec:\n  values:\n    meshConfig:\n      trustDomain: td\n",
			"apiVersion: sailoperator.io/v1\nkind: Istio\nspec:\n  values:\n    meshConfig:\n      trustDomain: td\n      extensionProviders:\n" + entries("        ")},
		"Helm values": {"Helm values", "pilot: {}\nmeshConfig:\n  enableTracing: true\n\n# end\n",
			"pilot: {}\nmeshConfig:\n  enableTracing: true\n  extensionProviders:\n" + entries("    ") + "\n# end\n"},
		"Helm values, empty": {"Helm values", "meshConfig: {}\n",
			"meshConfig:\n  extensionProviders:\n" + entries("    ")},
		"Helm values, none": {"Helm values", "null\n", "meshConfig:\n  extensionProviders:\n" + entries("    ")},
		"plain": {"MeshConfig", "trustDomain: td\nextensionProviders: []\n",
			"trustDomain: td\nextensionProviders:\n" + entries("  ")},
		"ConfigMap": {"ConfigMap", "apiVersion: v1\nkind: ConfigMap\ndata:\n  mesh: |-\n    trustDomain: td\n  meshNetworks: 'networks: {}'\n",
			"apiVersion: v1\nkind: ConfigMap\ndata:\n  mesh: |-\n    trustDomain: td\n    extensionProviders:\n" + entries("      ") + "  meshNetworks: 'networks: {}'\n"},
		"replaced": {"MeshConfig", "extensionProviders:\n- name: x\n- name: meshpass\n  envoyExtAuthzGrpc:\n    port: 1\n- name: y\n",
			"extensionProviders:\n- name: x\n" + entry + "- name: y\n"},
	} {
		t.Run(name, func(t *testing.T) {
			after, result := merge(t, row.before, settings)
			if after != row.after || result.Form != row.form || len(result.Missing)+len(result.Different) != 1 {
				t.Errorf("%+v, got\n%s\nwant\n%s", result, after, row.after)
			}
			if again, result := merge(t, after, settings); again != after || !result.IsComplete() {
				t.Errorf("the second time: %+v\n%s", result, again)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	settings := istioproviders.DefaultSettings()
	settings.Names = []string{"meshpass"}
	for change, same := range map[[2]string]bool{
		{"0.25s", "250ms"}: true, {"0.25s", "0.250s"}: true, {"0.25s", "1s"}: false, {"failOpen: false", "failOpen: true"}: false,
		{`"503"`, `"403"`}: false, {"    port: 9000\n", ""}: false, {"    port: 9000\n", "    port: 9000\n    includeRequestHeadersInCheck: [x]\n"}: false,
	} {
		_, result := merge(t, "extensionProviders:\n"+strings.ReplaceAll(entry, change[0], change[1]), settings)
		if result.IsComplete() != same {
			t.Errorf("%q: %+v", change, result)
		}
	}
	settings.Namespace, settings.Port, settings.Timeout, settings.Names = "auth", 9443, time.Second, []string{"meshpass"}
	after, _ := merge(t, "trustDomain: td\n", settings)
	for _, want := range []string{"service: meshpass.auth.svc.cluster.local", "port: 9443", "timeout: 1s"} {
		if !strings.Contains(after, want) {
			t.Errorf("want %s in\n%s", want, after)
		}
	}
	if _, result := merge(t, "pathNormalization: {normalization: NONE}\n", settings); len(result.Notes) != 1 {
		t.Errorf("%+v", result)
	}
}

func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "want a MeshConfig",
		"pilot: {}\n":                   "want a MeshConfig",
		"USER-SUPPLIED VALUES:\nnull\n": "f: it begins with a title of helm, which is no value: make the file with helm get values RELEASE -o yaml",
		"kind: ConfigMap\ndata: {a: b}": "want a MeshConfig",
		"meshConfig: 1\n":               "meshConfig: want an object",
		"kind: IstioOperator\n":         "IstioOperator: want an object in spec",
		"trustDomain: a\nextensionProviders: {}\n":                                               "f:2:21: extensionProviders: want a list",
		"extensionProviders: [{name: meshpass}, {name: meshpass}]\n":                             `f:1:40: the provider "meshpass" is there twice`,
		"meshConfig: {}\n---\nmeshConfig: {}\n":                                                  "a second MeshConfig",
		"kind: ConfigMap\ndata: {mesh: 'trustDomain: a'}\n":                                      "want a text in literal style",
		"extensionProviders: &x\n- name: a\nb: *x\n":                                             "it has an anchor",
		"kind: IstioOperator\nspec: {values: {meshConfig: {extensionProviders: [{name: a}]}}}\n": "would replace this list",
		"extension_providers: []\ntrustDomain: a\n":                                              "write it as extensionProviders",
	} {
		if _, _, err := istioproviders.Merge("f", []byte(text), istioproviders.DefaultSettings()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*istioproviders.Settings){
		"--port": func(s *istioproviders.Settings) { s.Port = 0 }, "--waypoint-port": func(s *istioproviders.Settings) { s.WaypointPort = 65536 },
		"--namespace": func(s *istioproviders.Settings) { s.Namespace = "a.b" }, "--cluster-domain": func(s *istioproviders.Settings) { s.ClusterDomain = "a b" },
		"--timeout": func(s *istioproviders.Settings) { s.Timeout = 0 },
	} {
		settings := istioproviders.DefaultSettings()
		change(&settings)
		if err := settings.Validate(); err == nil || !strings.HasPrefix(err.Error(), want+":") {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if err := istioproviders.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}
