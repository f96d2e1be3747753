package drills

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/subnet"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// setup is what one drill wants beside the usual.
type setup struct {
	envoys      []string          // of these workloads, too
	files       map[string]string // for istiod, by name
	edits       []edit
	keyless     bool          // the backstop as shipped, without signing keys
	certificate time.Duration // lifetime; 0: long enough
}

// edit replaces a text in one of the rig's files.
type edit struct{ file, old, new string }

// writeFiles has the manifests as shipped, but for the signing keys, and the
// demo's workloads, of which one asks for the open provider and one for none.
func (r *rig) writeFiles(t *testing.T, s setup) {
	t.Helper()
	for dir, from := range map[string]string{"istio": "manifests/istio", "cluster": "e2e/localmesh/cluster", "policies": "manifests/policies"} {
		must(t, os.Mkdir(r.path(dir), 0o755))
		must(t, r.net.CopyDir(r.path(dir), os.DirFS(filepath.Join(r.root, from))))
	}
	keys := tokentest.JWKS(t)
	must(t, os.WriteFile(r.path("jwks.json"), keys, 0o644))
	edits := append(s.edits,
		edit{"cluster/reports.yaml", `meshpass.dev/guarded: "true"`, "meshpass.dev/guarded: open"},
		edit{"cluster/inventory.yaml", `meshpass.dev/guarded: "true"`, "drills: ordering"},
	)
	if !s.keyless {
		r.setKeys(t, keys)
	}
	for _, e := range edits {
		r.edit(t, e)
	}
	for name, text := range s.files {
		must(t, os.WriteFile(r.path("istio", name), []byte(text), 0o644))
	}
}

// nobodys is the key set that the backstop is shipped with.
var nobodys = regexp.MustCompile(`\{"keys": ?\[.*\]\}`)

// setKeys replaces the backstop's key set.
func (r *rig) setKeys(t *testing.T, keys []byte) {
	t.Helper()
	file := r.path("istio", "backstop.yaml")
	data := must1(os.ReadFile(file))(t)
	if len(nobodys.FindAll(data, -1)) != 1 {
		t.Fatalf("%s: want one key set", file)
	}
	oneLine := bytes.Join(bytes.Fields(keys), nil)
	must(t, os.WriteFile(file, nobodys.ReplaceAllLiteral(data, oneLine), 0o644))
}

func (r *rig) path(elements ...string) string {
	return filepath.Join(append([]string{r.dir}, elements...)...)
}

// edit changes a file; istiod follows by itself.
func (r *rig) edit(t *testing.T, e edit) {
	t.Helper()
	data := must1(os.ReadFile(r.path(e.file)))(t)
	old, new := subnet.Localise([]byte(e.old), r.net.Prefix()), subnet.Localise([]byte(e.new), r.net.Prefix())
	if !bytes.Contains(data, old) {
		t.Fatalf("%s holds no %s", e.file, old)
	}
	must(t, os.WriteFile(r.path(e.file), bytes.ReplaceAll(data, old, new), 0o644))
}
