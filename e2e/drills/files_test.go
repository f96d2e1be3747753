package drills

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// rigSetup is what one drill needs in addition to the usual rig.
type rigSetup struct {
	place       place             // empty: sidecars
	envoys      []string          // also of these workloads
	files       map[string]string // for istiod, by name
	edits       []fileEdit
	keyless     bool          // the backstop as shipped, without signing keys
	certificate time.Duration // lifetime; 0: long enough
}

// fileEdit replaces a text in one of the rig's files.
type fileEdit struct{ file, old, new string }

// writeFiles writes the manifests as shipped, except the signing keys, and the demo's workloads.
func (r *rig) writeFiles(t *testing.T, s rigSetup) {
	t.Helper()
	for dir, from := range map[string]string{"istio": "manifests/istio", "cluster": "e2e/localmesh/cluster", "policies": "manifests/policies"} {
		must(t, os.Mkdir(r.filePath(dir), 0o755))
		must(t, r.net.CopyDir(r.filePath(dir), os.DirFS(filepath.Join(r.root, from))))
	}
	r.writePlace(t)
	keys := tokentest.JWKS(t)
	must(t, os.WriteFile(r.filePath("jwks.json"), keys, 0o644))
	edits := slices.Concat(s.edits, r.place.edits)
	if !s.keyless {
		r.setKeys(t, keys)
	}
	for _, e := range edits {
		r.editFile(t, e)
	}
	for name, text := range s.files {
		must(t, os.WriteFile(r.filePath("istio", name), []byte(text), 0o644))
	}
}

// shippedKeySet is the key set that the backstop is shipped with.
var shippedKeySet = regexp.MustCompile(`\{"keys": ?\[.*\]\}`)

// setKeys replaces the backstop's key set.
func (r *rig) setKeys(t *testing.T, keys []byte) {
	t.Helper()
	file := r.filePath("istio", "backstop.yaml")
	data := mustGet(os.ReadFile(file))(t)
	if len(shippedKeySet.FindAll(data, -1)) != 1 {
		t.Fatalf("%s: want one key set", file)
	}
	oneLine := bytes.Join(bytes.Fields(keys), nil)
	must(t, os.WriteFile(file, shippedKeySet.ReplaceAllLiteral(data, oneLine), 0o644))
}

func (r *rig) filePath(elements ...string) string {
	return filepath.Join(append([]string{r.dir}, elements...)...)
}

// editFile changes a file; istiod follows the change.
func (r *rig) editFile(t *testing.T, e fileEdit) {
	t.Helper()
	data := mustGet(os.ReadFile(r.filePath(e.file)))(t)
	oldText, newText := subnet.Localise([]byte(e.old), r.net.Prefix()), subnet.Localise([]byte(e.new), r.net.Prefix())
	if !bytes.Contains(data, oldText) {
		t.Fatalf("%s does not contain %s", e.file, oldText)
	}
	must(t, os.WriteFile(r.filePath(e.file), bytes.ReplaceAll(data, oldText, newText), 0o644))
}
