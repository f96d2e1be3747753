package charts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/charts/internal/render"
)

// TestIstiodChart renders Istio's own chart istiod, of the release that e2e/istiod requires, with what docs/charts.md and
// docs/onboarding.md write.
func TestIstiodChart(t *testing.T) {
	meshpass, err := findProgram("meshpass")
	if err != nil {
		t.Skip("NOT RUN: Istio's own chart: needs make bin/meshpass")
	}
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio")
	list.Dir = filepath.Join("..", "e2e", "istiod")
	dir, err := list.Output()
	if err != nil || strings.TrimSpace(string(dir)) == "" {
		t.Skip("NOT RUN: Istio's own chart: needs make bin/istiod")
	}
	istiod := func(values map[string]any) render.Release {
		return render.Release{Chart: filepath.Join(strings.TrimSpace(string(dir)), "manifests", "charts", "istio-control", "istio-discovery"), Name: "istiod", Namespace: "istio-system", Values: values}
	}
	// As `helm get values istiod -o yaml` prints them.
	own := parseValues(`{meshConfig: {accessLogFile: /dev/stdout, extensionProviders: [{name: other, opentelemetry: {service: c.o.svc.cluster.local, port: 4317}}]}}`)
	file := filepath.Join(t.TempDir(), "istiod.yaml")
	text, err := yaml.Marshal(own)
	if err == nil {
		err = os.WriteFile(file, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(meshpass, "istio", "providers", "-f", file, "--write").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	install := readObjects(t, filepath.Join(manifests, "istio", "install.yaml"))[0]
	ours := install["spec"].(map[string]any)["meshConfig"].(map[string]any)["extensionProviders"].([]any)
	want := append(own["meshConfig"].(map[string]any)["extensionProviders"].([]any), ours...)
	for helm, renderChart := range renderers {
		objects, err := renderChart(istiod(parseValues(string(text), `env: {SHARED_MESH_CONFIG: meshpass-providers}`)))
		if err != nil {
			t.Fatalf("%s: %v", helm, err)
		}
		found := 0
		for _, o := range objects {
			switch render.Name(o) {
			case "ConfigMap istio-system istio":
				var mesh map[string]any
				if err := yaml.Unmarshal([]byte(o["data"].(map[string]any)["mesh"].(string)), &mesh); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(any(want), mesh["extensionProviders"]); diff != "" || mesh["accessLogFile"] != "/dev/stdout" {
					t.Errorf("%s: accessLogFile %v, providers (-want +got):\n%s", helm, mesh["accessLogFile"], diff)
				}
			case "Deployment istio-system istiod":
				container := podOf(o)["containers"].([]any)[0].(map[string]any)
				if got := findNamed(t, container["env"], "SHARED_MESH_CONFIG")["value"]; got != "meshpass-providers" {
					t.Errorf("%s: SHARED_MESH_CONFIG is %v", helm, got)
				}
			default:
				continue
			}
			found++
		}
		if found != 2 {
			t.Errorf("%s: %d of the ConfigMap istio and the Deployment istiod", helm, found)
		}
	}
}
