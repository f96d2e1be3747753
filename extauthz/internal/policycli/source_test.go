package policycli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
)

func TestNamesOfFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a/policies", "b/policies", "x=y"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	for _, row := range []struct {
		dirs, guardrails, want string
	}{
		{"a/policies", "", "policies"},
		{"a/policies/ team=b/policies", "", "policies team"},
		{"./x=y", "", "x=y"},
		{".", "", filepath.Base(dir)},
		{"a/policies", "rails=b/policies", "policies rails"},
		{"a/policies b/policies", "", `two folders are named "policies", a/policies and b/policies: give one of them another name, as in NAME=b/policies`},
		{"a/policies", "b/policies", `two folders are named "policies"`},
		{"a", "a/policies", "a and a/policies are one folder, or one is inside the other"},
		{"", "", "name a folder of documents"},
	} {
		folders, err := policycli.DocumentSource{Sources: strings.Fields(row.dirs), Guardrails: strings.Fields(row.guardrails)}.OpenFolders()
		var names []string
		for _, f := range folders {
			names = append(names, f.Name)
		}
		if got := strings.Join(names, " "); err == nil && got != row.want || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s, %s: got %s, %v; want %s", row.dirs, row.guardrails, got, err, row.want)
		}
	}
}
