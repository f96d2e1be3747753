// Package extauthz_test guards what this module is built from.
package extauthz_test

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// sameEngine are the modules that verify tokens and decide by policy. The
// plugin and the authorizer must run the same code there, or the edge and the
// hop could read one token, or one policy, in two ways.
var sameEngine = []string{
	"github.com/lestrrat-go/jwx/v2",
	"github.com/google/cel-go",
	"gopkg.in/yaml.v3",
}

func TestSameEngineAsRoot(t *testing.T) {
	root, here := modules(t, ".."), modules(t, ".")
	for _, difference := range differences(root, here, sameEngine) {
		t.Error(difference)
	}
}

func TestADifferenceIsFound(t *testing.T) {
	root := map[string]string{"a": "v1.0.0", "b": "v1.0.0"}
	here := map[string]string{"a": "v1.0.0", "b": "v1.1.0"}
	got := strings.Join(differences(root, here, []string{"a", "b", "c"}), "\n")
	want := "b: root selects v1.0.0, extauthz selects v1.1.0\nc: root selects nothing"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A gateway in the graph would bring its 263 modules and hold ours at its versions.
func TestNoTyk(t *testing.T) {
	for path := range modules(t, ".") {
		if strings.Contains(strings.ToLower(path), "tyktechnologies") {
			t.Errorf("%s is in the module graph of extauthz", path)
		}
	}
}

func differences(root, here map[string]string, paths []string) []string {
	var found []string
	for _, path := range paths {
		switch {
		case root[path] == "":
			found = append(found, path+": root selects nothing")
		case root[path] != here[path]:
			found = append(found, path+": root selects "+root[path]+", extauthz selects "+here[path])
		}
	}
	return found
}

// modules gives the selected version of every module in a folder's graph.
func modules(t *testing.T, dir string) map[string]string {
	t.Helper()
	// Read here too, so that go test sees a change and does not answer from its cache.
	if _, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("go", "list", "-m", "-json", "all")
	command.Dir = dir
	output, err := command.Output()
	if err != nil {
		t.Fatalf("go list in %s: %v", dir, err)
	}
	selected := map[string]string{}
	for decoder := json.NewDecoder(strings.NewReader(string(output))); ; {
		var module struct{ Path, Version string }
		if err := decoder.Decode(&module); err == io.EOF {
			return selected
		} else if err != nil {
			t.Fatal(err)
		}
		selected[module.Path] = module.Version
	}
}
