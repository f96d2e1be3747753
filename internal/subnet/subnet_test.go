package subnet_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/internal/subnet"
)

func claim(t *testing.T) *subnet.Subnet {
	t.Helper()
	n, err := subnet.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Release(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func TestClaim(t *testing.T) {
	a, b := claim(t), claim(t)
	if a.Prefix() == b.Prefix() {
		t.Errorf("%s is held twice", a.Prefix())
	}
	if got := a.Addr(11); got != a.Prefix()+"11" || !strings.HasPrefix(got, "127.") {
		t.Errorf("Addr(11) = %s", got)
	}
}

func TestCopyDir(t *testing.T) {
	n := claim(t)
	dir := t.TempDir()
	src := fstest.MapFS{
		"orders.yaml": {Data: []byte("podIP: 127.77.0.11\nbind: 127.77.0.11_8080 # not 127.77.1.5\n")},
		"sub/x.yaml":  {Data: []byte("left out")},
	}
	if err := n.CopyDir(dir, src); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(dir, "orders.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	want := "podIP: " + n.Addr(11) + "\nbind: " + n.Addr(11) + "_8080 # not 127.77.1.5\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%d files, want 1", len(left))
	}
}
