package fidelity_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
)

// fromIstiod is the live control plane on our manifests and the local mesh's
// cluster, with a text of these files replaced.
func fromIstiod(oldText, newText string) controlPlane {
	return func(t testing.TB, r *rig) {
		t.Helper()
		objects, istio := t.TempDir(), t.TempDir()
		must(t, r.net.CopyDir(objects, cluster.Files))
		must(t, r.net.CopyDir(istio, os.DirFS(manifestsOfIstio(t))))
		if replaceIn(t, objects, oldText, newText)+replaceIn(t, istio, oldText, newText) == 0 {
			t.Fatalf("no file contains %q", oldText)
		}
		serveIstiod(t, r, istio, filepath.Join(manifestsOfIstio(t), "strict"), objects)
	}
}

// observing is the live control plane on the files for every mesh, without mutual TLS being required,
// and the local mesh's cluster, whose guarded pods are only observed.
func observing(t testing.TB, r *rig) {
	t.Helper()
	objects := t.TempDir()
	must(t, r.net.CopyDir(objects, cluster.Files))
	if replaceIn(t, objects, `meshpass.dev/guarded: "true"`, "meshpass.dev/guarded: observe") == 0 {
		t.Fatal("no pod is guarded")
	}
	serveIstiod(t, r, manifestsOfIstio(t), objects)
}

func manifestsOfIstio(t testing.TB) string {
	t.Helper()
	root, err := repo.Root()
	must(t, err)
	return filepath.Join(root, "manifests", "istio")
}

// serveIstiod starts the control plane on folders, of which the first has install.yaml.
func serveIstiod(t testing.TB, r *rig, folders ...string) {
	t.Helper()
	istiod, err := repo.Bin("istiod", "istiod")
	must(t, err)
	args := []string{"serve", "--listen", r.xds, "--mesh", filepath.Join(folders[0], "install.yaml")}
	for _, folder := range folders {
		args = append(args, "--dir", folder)
	}
	p, err := process.Start(process.Spec{Name: "istiod", Path: istiod, Stderr: filepath.Join(r.dir, "istiod.log"), Args: args})
	must(t, err)
	stopAtEnd(t, p.Stop)
}

// replaceIn changes the files of a folder that hold a text, and counts them.
func replaceIn(t testing.TB, dir, oldText, newText string) (replaced int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(oldText)) {
			return err
		}
		replaced++
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte(oldText), []byte(newText)), 0o644)
	}))
	return replaced
}
