package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/keyset"
)

const plugin = `issuer: https://tyk.test.meshpass.dev
audience: test.meshpass.dev
workload: spiffe://cluster.local/ns/edge/sa/tyk-gateway
keys: {dir: keys}
apiKeys: {subject: meta.developer_id}
secretFile: secret
upstreams: [orders.example.com]
edge: {policies: [{path: edge}]}
revocation: {file: revoked.yaml}
`

const document = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: api}
spec:
  targets: {workloads: [edge/orders]}
  rules: [{name: all, effect: allow}]
`

// folder has a configuration and the files that it names.
type folder struct {
	t   *testing.T
	dir string
}

// newFolder makes a folder whose files are all valid.
func newFolder(t *testing.T) folder {
	t.Helper()
	f := folder{t, t.TempDir()}
	if err := os.Mkdir(f.path("keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Hour), SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(48 * time.Hour)}
	if _, err := keyset.CreateKey(f.path("keys"), keyset.ES256, plan); err != nil {
		t.Fatal(err)
	}
	f.write("secret", "the secret of a test, 32 bytes or more", 0o600)
	f.write("revoked.yaml", "revocations: []\n", 0o644)
	f.write("edge/api.yaml", document, 0o644)
	return f
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }

func (f folder) write(name, content string, mode os.FileMode) {
	f.t.Helper()
	if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(f.path(name), []byte(content), mode); err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) check(text string, strict bool) strictyaml.Findings {
	return f.checkAt(time.Now(), text, strict)
}

// checkAt gives findings with the paths of files below the folder.
func (f folder) checkAt(now time.Time, text string, strict bool) strictyaml.Findings {
	found := CheckConfig(f.path("plugin.yaml"), []byte(text), strict, now)
	for _, all := range []strictyaml.Problems{found.Problems, found.Warnings, found.NotChecked} {
		for i := range all {
			all[i].File = strings.TrimPrefix(all[i].File, f.dir+"/")
			all[i].Message = strings.ReplaceAll(all[i].Message, f.dir+"/", "")
		}
	}
	return found
}

func wantFindings(t *testing.T, name string, got strictyaml.Problems, want ...string) {
	t.Helper()
	if text := strings.Join(want, "\n"); got.Error() != text {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, text)
	}
}

func TestAValidConfiguration(t *testing.T) {
	f := newFolder(t)
	found := f.check(plugin, true)
	wantFindings(t, "problems", found.Problems)
	wantFindings(t, "warnings", found.Warnings)
	if len(found.NotChecked) != 1 || !strings.Contains(found.NotChecked[0].Message, "definitions of its APIs") {
		t.Errorf("not checked: %v", found.NotChecked)
	}
}

// Everything that the plugin would reject at its start is reported, all at once.
func TestProblemsOfFiles(t *testing.T) {
	f := newFolder(t)
	f.write("keys/keys.yaml", "keys: {}\n", 0o600)
	f.write("revoked.yaml", "revocations: [{}]\n", 0o644)
	if err := os.Chmod(f.path("secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	found := f.check(plugin, false)
	if len(found.Problems) != 3 || len(found.Warnings) != 0 {
		t.Fatalf("got\n%v\nwarnings\n%v", found.Problems, found.Warnings)
	}
	for i, want := range []string{"plugin.yaml:4:13: keys.dir: ", "plugin.yaml:6:13: secretFile: secret has mode 0644", "revoked.yaml:1:15: "} {
		if got := found.Problems.Sorted()[i].String(); !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The files are also read if the configuration has a mistake, but for those that depend on it.
func TestProblemsOfTheConfigurationAndOfFiles(t *testing.T) {
	f := newFolder(t)
	f.write("edge/api.yaml", "x", 0o644)
	for _, name := range []string{"secret", "keys/keys.yaml"} {
		if err := os.Remove(f.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	found := f.check(strings.NewReplacer("https://tyk.test", "tyk.test", "spiffe://", "x%zz").Replace(plugin), true)
	wantFindings(t, "problems", found.Problems,
		`plugin.yaml:1:9: issuer: "tyk.test.meshpass.dev" is not an http or https URL: write one such as https://tyk.example.com`,
		"plugin.yaml:3:11: workload: want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway",
		"plugin.yaml:4:13: keys.dir: signing keys: open keys/keys.yaml: no such file or directory",
		"plugin.yaml:6:13: secretFile: open secret: no such file or directory")
}

// A rejected document does not keep the plugin from its start. A folder that cannot be read holds none,
// and guards nothing.
func TestDocumentsOfTheEdge(t *testing.T) {
	f := newFolder(t)
	f.write("edge/api.yaml", strings.Replace(document, "effect", "efect", 1), 0o644)
	const problem = `edge/api.yaml:6:23: unknown key "efect" (did you mean "effect"?); known here: claims, effect, from, mode, name, scopes, to, when`
	found := f.check(plugin, false)
	wantFindings(t, "problems", found.Problems)
	wantFindings(t, "warnings", found.Warnings, problem+" (a start without --strict leaves this out, and denies everything that it targets)")
	wantFindings(t, "strict", f.check(plugin, true).Problems, problem)

	f.write("edge/api.yaml", strings.Replace(document, "allow}", "allow, when: claims.tctx.tenant == \"x\"}", 1), 0o644)
	if found := f.check(plugin, true).Problems.Error(); !strings.Contains(found, "tenant") {
		t.Errorf("a member that no mapping writes: got %s", found)
	}
	wantFindings(t, "no folder", f.check(strings.Replace(plugin, "path: edge", "path: absent", 1), false).Problems, "absent: stat absent: no such file or directory")
}

// The plugin starts with a key that signs later, and denies every request until then.
func TestNoKeySignsNow(t *testing.T) {
	f := newFolder(t)
	found := f.checkAt(time.Now().Add(-48*time.Hour), plugin, true)
	wantFindings(t, "problems", found.Problems)
	if len(found.Warnings) != 1 || !strings.HasPrefix(found.Warnings[0].String(), "plugin.yaml:4:13: keys.dir: no key signs now, so that every request is denied (no_signing_key): ") {
		t.Errorf("got %v", found.Warnings)
	}
}

func TestTextThatIsNotYAML(t *testing.T) {
	found := newFolder(t).check("issuer: [", false)
	if len(found.Problems) != 1 || found.Problems[0].File != "plugin.yaml" || found.Problems[0].Line != 1 {
		t.Errorf("got %v", found.Problems)
	}
}
