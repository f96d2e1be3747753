package dump_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/localmesh/dump"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/subnet"
)

var update = flag.Bool("update", false, "write the dump instead of comparing it")

// istiod gets the proxies as the same nodes that the Envoys' bootstraps contain, so the dump
// also follows a change there.
func TestDumpIsWhatIstiodSends(t *testing.T) {
	live := liveDump(t)
	if *update {
		replaceFiles(t, live)
		return
	}
	for _, d := range compareDumps(t, dump.Files, os.DirFS(live)) {
		t.Error(d)
	}
}

// compareDumps returns one line per workload whose file differs from istiod's configuration.
func compareDumps(t *testing.T, checkedIn, live fs.FS) []string {
	t.Helper()
	var out []string
	for _, name := range fileNames(t, checkedIn, live) {
		want, err := fs.ReadFile(live, name)
		if err != nil {
			out = append(out, name+": no such workload has a sidecar any more: run make dump")
			continue
		}
		got, err := fs.ReadFile(checkedIn, name)
		if err != nil {
			out = append(out, name+": the workload is not in the dump: run make dump")
			continue
		}
		if line, a, b := firstDifference(got, want); line > 0 {
			out = append(out, fmt.Sprintf("%s:%d: the dump is stale: run make dump\n dump:   %s\n istiod: %s", name, line, a, b))
		}
	}
	return out
}

func TestStaleDumpIsNoticed(t *testing.T) {
	checkedIn := fstest.MapFS{"a.json": {Data: []byte("1\n2\n")}, "gone.json": {}, "same.json": {}}
	live := fstest.MapFS{"a.json": {Data: []byte("1\n3\n")}, "new.json": {}, "same.json": {}}
	want := []string{
		"a.json:2: the dump is stale: run make dump\n dump:   2\n istiod: 3",
		"gone.json: no such workload has a sidecar any more: run make dump",
		"new.json: the workload is not in the dump: run make dump",
	}
	if got := compareDumps(t, checkedIn, live); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// firstDifference returns the number of the first different line, counted from 1, and both lines. The number is 0 if
// both texts are equal.
func firstDifference(a, b []byte) (int, []byte, []byte) {
	as, bs := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	for i := range max(len(as), len(bs)) {
		var x, y []byte
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		if !bytes.Equal(x, y) || i >= min(len(as), len(bs)) {
			return i + 1, x, y
		}
	}
	return 0, nil, nil
}

func TestFirstDifference(t *testing.T) {
	for _, row := range []struct {
		a, b string
		line int
	}{
		{"x\ny\n", "x\ny\n", 0},
		{"x\ny\n", "x\nz\n", 2},
		{"x\n", "x\ny\n", 2},
		{"x", "x\n", 2},
		{"", "x", 1},
	} {
		if line, _, _ := firstDifference([]byte(row.a), []byte(row.b)); line != row.line {
			t.Errorf("firstDifference(%q, %q) = line %d, want %d", row.a, row.b, line, row.line)
		}
	}
}

// fileNames returns the names of both folders' files, each once.
func fileNames(t *testing.T, folders ...fs.FS) []string {
	t.Helper()
	var names []string
	for _, folder := range folders {
		found, err := fs.Glob(folder, "*.json")
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, found...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// liveDump runs istiod and returns the folder that it wrote.
func liveDump(t *testing.T) string {
	t.Helper()
	istiod, err := repo.Bin("istiod", "istiod")
	if err != nil {
		t.Fatal(err)
	}
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	manifests := filepath.Join(root, "manifests", "istio")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, istiod, "dump", "--mesh", filepath.Join(manifests, "install.yaml"),
		"--dir", manifests, "--dir", filepath.Join(manifests, "strict"), "--dir", filepath.Join(root, "e2e/localmesh/cluster"), "--nodes", writeNodes(t), "--out", out)
	if log, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("istiod dump: %v\n%s", err, log)
	}
	return out
}

func writeNodes(t *testing.T) string {
	t.Helper()
	workloads, err := cluster.LoadTourWorkloads(subnet.Template)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, w := range workloads {
		node, err := w.NodeJSON()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".json"), node, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// replaceFiles replaces the checked-in files by those of the folder live.
func replaceFiles(t *testing.T, live string) {
	t.Helper()
	old, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(".", os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
}
