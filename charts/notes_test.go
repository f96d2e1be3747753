package charts_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/charts/internal/render"
)

// notesValues gives the values for tyk-oss that the notes of charts/meshpass print.
func notesValues(t *testing.T, gateway string) map[string]any {
	t.Helper()
	notes, err := render.Notes(authorizer(installValues(t), gateway))
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(notes, "\ntyk-gateway:\n")
	if at < 0 {
		t.Fatalf("no values in\n%s", notes)
	}
	var values map[string]any
	if err := yaml.UnmarshalStrict([]byte(notes[at:]), &values); err != nil {
		t.Fatalf("%v in\n%s", err, notes[at:])
	}
	return values["tyk-gateway"].(map[string]any)["gateway"].(map[string]any)
}

// TestNotesForTyk compares what the notes print with the values that TestTykOSSValues renders.
func TestNotesForTyk(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(tykOSS, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Gateway struct{ Gateway map[string]any } `json:"tyk-gateway"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	want := file.Gateway.Gateway
	got := notesValues(t, `gateway: {release: v5.8.1, plugin: {builtFor: [v5.8.1]}}`)
	for key, value := range got {
		entries, isList := value.([]any)
		if !isList {
			if !cmp.Equal(value, want[key]) {
				t.Errorf("%s: %v, want %v", key, value, want[key])
			}
			continue
		}
		for _, e := range entries {
			name := e.(map[string]any)["name"].(string)
			if other := findNamed(t, want[key], name); !cmp.Equal(e, any(other)) {
				t.Errorf("%s %s: %s", key, name, cmp.Diff(any(other), e))
			}
		}
	}
	bundle := notesValues(t, `gateway: {release: v5.8.1, plugin: {from: bundle, bundle: {signed: true, publicKeyPath: /k/bundle.pub}}}`)
	wantBundle := []any{
		map[string]any{"name": "MESHPASS_CONFIG", "value": "/etc/meshpass/plugin.yaml"},
		map[string]any{"name": "TYK_GW_ENABLEBUNDLEDOWNLOADER", "value": "true"},
		map[string]any{"name": "TYK_GW_BUNDLEBASEURL", "value": "https://YOUR-SERVER/"},
		map[string]any{"name": "TYK_GW_PUBLICKEYPATH", "value": "/k/bundle.pub"},
	}
	if diff := cmp.Diff(wantBundle, bundle["extraEnvs"]); diff != "" {
		t.Error(diff)
	}
}

// TestTykPage: the commands of docs/tyk.md make what the values mount, and name files that exist.
func TestTykPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "tyk.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Helm: Tyk's own chart\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, file := range regexp.MustCompile(`manifests/tyk-oss/[a-z./-]+[a-z]`).FindAllString(section, -1) {
		if _, err := os.Stat(filepath.Join("..", filepath.FromSlash(file))); err != nil {
			t.Errorf("docs/tyk.md: %v", err)
		}
	}
	made := map[string]bool{"meshpass-signing-keys": strings.Contains(section, "meshpass keys rotate --kubernetes --first")}
	for _, found := range regexp.MustCompile(`create (?:configmap|secret generic) (\S+) `).FindAllStringSubmatch(section, -1) {
		made[found[1]] = true
	}
	mounted := map[string]bool{}
	for _, file := range []string{"values.yaml", "values-init-container.yaml"} {
		text, err := os.ReadFile(filepath.Join(tykOSS, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`(?:configMap: \{name:|secret: \{name:|secretName:) ([a-z-]+)`).FindAllStringSubmatch(string(text), -1) {
			mounted[found[1]] = true
		}
	}
	if diff := cmp.Diff(mounted, made); diff != "" {
		t.Errorf("what docs/tyk.md makes (+) and what the values mount (-):\n%s", diff)
	}
}

// TestAuditPage compares the values of docs/audit.md with those that TestChartsEqualTheManifests renders.
func TestAuditPage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "audit.md"))
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```yaml\n# values of charts/meshpass\n(.*?)```").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 2 {
		t.Fatalf("%d blocks with values", len(blocks))
	}
	for i, want := range []string{chainValues, fileValues} {
		if diff := cmp.Diff(parseValues(want), parseValues(blocks[i][1])); diff != "" {
			t.Error(diff)
		}
	}
}

// TestNotesForProviders: the command of the notes makes the providers that the chart names.
func TestNotesForProviders(t *testing.T) {
	for values, want := range map[string]string{
		`{}`: "meshpass istio providers -f - > values.yaml",
		`{authorizer: {name: edge-meshpass, namespace: authz, port: 9001, waypointPort: 9011, ingressPort: 9021}, istio: {clusterDomain: c.local}, providers: {timeout: 1s, configMap: {create: false}}}`: "meshpass istio providers --service edge-meshpass --namespace authz" +
			" --port 9001 --waypoint-port 9011 --ingress-port 9021 --cluster-domain c.local --timeout 1s -f - > values.yaml",
		`providers: {open: {name: other}}`: "", // the command knows no other name
	} {
		notes, err := render.Notes(istio(values))
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`meshpass istio providers.*`).FindString(notes); found != want {
			t.Errorf("%s: got %q, want %q in\n%s", values, found, want, notes)
		}
	}
}

// TestCommandsOfHelm: an upgrade of our charts takes the values of the new chart, one of another chart keeps its version, and an image is
// named as a whole.
func TestCommandsOfHelm(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	commands := 0
	for _, page := range append(pages, filepath.Join("meshpass", "templates", notes), filepath.Join("meshpass-istio", "templates", notes)) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range regexp.MustCompile("helm upgrade [^`\\n]+(\\n  --[^`\\n]+)?").FindAllString(string(text), -1) {
			commands++
			ours := strings.Contains(command, "charts/meshpass")
			if ours && strings.Contains(command, " --reuse-values") {
				t.Errorf("%s: write --reset-then-reuse-values: %s", page, command)
			}
			if !ours && regexp.MustCompile(`istio/istiod|tyk-helm/`).MatchString(command) && !strings.Contains(command, " --version ") {
				t.Errorf("%s: without --version, Helm upgrades what runs: %s", page, command)
			}
			if strings.Contains(command, "image.tag=") && !strings.Contains(command, "image.repository=") {
				t.Errorf("%s: the repository is missing: %s", page, command)
			}
		}
	}
	if commands < 10 {
		t.Errorf("found %d commands", commands)
	}
}

const notes = "NOTES.txt"
