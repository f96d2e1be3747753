package charts_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/charts/internal/render"
)

// asKustomize makes the test binary build a kustomization, as `kubectl kustomize FOLDER` does.
const asKustomize = "MESHPASS_TEST_AS_KUSTOMIZE"

func init() {
	if os.Getenv(asKustomize) == "" {
		return
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), os.Args[len(os.Args)-1])
	if err == nil {
		var text []byte
		if text, err = built.AsYaml(); err == nil {
			_, err = os.Stdout.Write(text)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

const tykOSS = "../manifests/tyk-oss"

// TestTykOSSValues renders our values for Tyk's chart tyk-oss with a chart of our own that follows its shape, by Helm 4 and Helm 3,
// and adds the init container by the post-renderer.
func TestTykOSSValues(t *testing.T) {
	for name, helm := range map[string]func(render.Release) ([]render.Object, error){"Helm 4": render.Helm4, "Helm 3": render.Helm3} {
		t.Run(name, func(t *testing.T) {
			byImage := renderGateway(t, helm, "values.yaml")
			checkGateway(t, byImage)
			if got := find(t, byImage, "volumes", "meshpass-plugin")["image"]; !reflect.DeepEqual(got, map[string]any{"reference": "meshpass/tyk-plugin:dev", "pullPolicy": "IfNotPresent"}) {
				t.Errorf("the image volume is %v", got)
			}
			if mount := mountOf(t, gatewayContainer(t, byImage), "meshpass-plugin"); mount["mountPath"] != "/opt/tyk-gateway/plugins" || mount["subPath"] != "plugins" {
				t.Errorf("the plugin is mounted as %v", mount)
			}

			byContainer := postRender(t, renderGateway(t, helm, "values-init-container.yaml"))
			checkGateway(t, byContainer)
			if got := find(t, byContainer, "volumes", "meshpass-plugin")["emptyDir"]; got == nil {
				t.Error("the plugin's volume is no emptyDir")
			}
			var names []any
			for _, c := range podOf(byContainer)["initContainers"].([]any) {
				names = append(names, c.(map[string]any)["name"])
			}
			if want := []any{"setup-directories", "meshpass-plugin"}; !reflect.DeepEqual(names, want) {
				t.Errorf("init containers %v, want %v", names, want)
			}
			unpack := find(t, byContainer, "initContainers", "meshpass-plugin")
			if args := unpack["args"]; !reflect.DeepEqual(args, []any{"unpack", "/opt/tyk-gateway/plugins"}) || mountOf(t, unpack, "meshpass-plugin")["mountPath"] != "/opt/tyk-gateway/plugins" {
				t.Errorf("the init container is %v", unpack)
			}
			if mount := mountOf(t, gatewayContainer(t, byContainer), "meshpass-plugin"); mount["mountPath"] != "/opt/tyk-gateway/plugins" || mount["subPath"] != nil {
				t.Errorf("the plugin is mounted as %v", mount)
			}
		})
	}
}

// TestTykOSSPostRenderer: a chart without a gateway that could be changed is not installed.
func TestTykOSSPostRenderer(t *testing.T) {
	out, err := runPostRenderer(t, []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: other}\nspec: {template: {spec: {initContainers: []}}}\n"))
	if err == nil || !strings.Contains(string(out), "the plugin was not added") {
		t.Errorf("got %v and %s", err, out)
	}
}

// renderGateway renders the gateway's Deployment with one of our files of values.
func renderGateway(t *testing.T, helm func(render.Release) ([]render.Object, error), file string) render.Object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(tykOSS, file))
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		t.Fatal(err)
	}
	objects, err := helm(render.Release{Chart: "testdata/tyk-oss", Name: "tyk", Namespace: "edge", Values: values})
	if err != nil {
		t.Fatal(err)
	}
	if len(objects) != 1 || objects[0]["kind"] != "Deployment" {
		t.Fatalf("got %v", objects)
	}
	return objects[0]
}

// checkGateway checks what both ways have in common.
func checkGateway(t *testing.T, deployment render.Object) {
	t.Helper()
	gateway := gatewayContainer(t, deployment)
	if gateway["image"] != "tykio/tyk-gateway:v5.8.1" {
		t.Errorf("image %v", gateway["image"])
	}
	var names []string
	for _, variable := range gateway["env"].([]any) {
		names = append(names, variable.(map[string]any)["name"].(string))
	}
	if !slices.Contains(names, "MESHPASS_CONFIG") || len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
		t.Errorf("want MESHPASS_CONFIG, and each variable once: %v", names)
	}
	probe, err := json.Marshal(gateway["readinessProbe"])
	if err != nil || string(probe) != `{"httpGet":{"path":"/meshpass-canary/","port":8080},"periodSeconds":2,"timeoutSeconds":3}` {
		t.Errorf("readinessProbe %s (%v)", probe, err)
	}
	for volume, path := range map[string]string{"meshpass-config": "/etc/meshpass", "meshpass-keys": "/etc/meshpass/keys", "meshpass-apis": "/mnt/tyk-gateway/apps"} {
		find(t, deployment, "volumes", volume)
		if mount := mountOf(t, gateway, volume); mount["mountPath"] != path || mount["readOnly"] != true {
			t.Errorf("%s is mounted as %v", volume, mount)
		}
	}
}

func podOf(deployment render.Object) map[string]any {
	return deployment["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
}

// find gives the entry of a list of the pod by its name.
func find(t *testing.T, deployment render.Object, list, name string) map[string]any {
	t.Helper()
	return findNamed(t, podOf(deployment)[list], name)
}

func findNamed(t *testing.T, list any, name string) map[string]any {
	t.Helper()
	entries, _ := list.([]any)
	for _, e := range entries {
		if entry := e.(map[string]any); entry["name"] == name {
			return entry
		}
	}
	t.Fatalf("no %s in %v", name, list)
	return nil
}

func gatewayContainer(t *testing.T, deployment render.Object) map[string]any {
	t.Helper()
	return find(t, deployment, "containers", "gateway-tyk-gateway")
}

func mountOf(t *testing.T, container map[string]any, volume string) map[string]any {
	t.Helper()
	return findNamed(t, container["volumeMounts"], volume)
}

// postRender runs the post-renderer on an object.
func postRender(t *testing.T, object render.Object) render.Object {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out, err := runPostRenderer(t, text)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var rendered render.Object
	if err := yaml.Unmarshal(out, &rendered); err != nil {
		t.Fatal(err)
	}
	return rendered
}

// runPostRenderer runs the script that users give to Helm, with kustomize's library in the place of kubectl.
func runPostRenderer(t *testing.T, rendered []byte) ([]byte, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(tykOSS, "post-renderer", "post-render.sh"))
	cmd.Env = append(os.Environ(), "KUSTOMIZE="+self, asKustomize+"=1")
	cmd.Stdin = bytes.NewReader(rendered)
	return cmd.CombinedOutput()
}
