package policycli_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
)

const (
	readRule  = "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: NAME}\nspec:\n  targets: {workloads: [ns/shop/sa/NAME]}\n  rules: [{name: read, effect: allow, scopes: [read]}]\n"
	oneCase   = "apiVersion: meshpass.dev/v1\nkind: PolicyTest\ncases: []\n"
	wrongRule = "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: wrong}\nspec: {tragets: 1}\n"
)

// Files of one folder are opened as that folder. Messages name them as the user wrote them.
func TestFilesAndStandardInput(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for name, text := range map[string]string{
		"p/a.yaml": readRule, "p/b.yaml": strings.ReplaceAll(readRule, "NAME", "b"), "p/a_test.yaml": oneCase, "p/wrong.yaml": wrongRule,
		"q/p/c.yaml": strings.ReplaceAll(readRule, "NAME", "c"), "p/a.txt": "", "p/sub/d.yaml": readRule,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(strings.ReplaceAll(text, "NAME", "a")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo("pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		sources, guardrails, stdin string
		want                       string // NAME: FILES, or the beginning of an error
	}{
		{"p/a.yaml", "", "", "p: p/a.yaml"},
		{"./p/a.yaml p/b.yaml", "", "", "p: ./p/a.yaml p/b.yaml"},
		{"p/a.yaml p/sub/d.yaml", "", "", "p: p/a.yaml; sub: p/sub/d.yaml"},
		{"p/a.yaml q", "", "", "p: p/a.yaml; q: "},
		{"p/a.yaml team=p/b.yaml", "", "", "p: p/a.yaml; team: p/b.yaml"},
		{"team=p/a.yaml team=p/b.yaml", "", "", "team: p/a.yaml p/b.yaml"},
		{"p/a.yaml rest=q/p/c.yaml", "", "", "p: p/a.yaml; rest: q/p/c.yaml"},
		{"-", "", readRule, "stdin: standard input"},
		{"new=-", "", readRule, "new: standard input"},
		{"p/a_test.yaml -", "", readRule, "p: p/a_test.yaml; stdin: standard input"},
		{"p/a.yaml", "rails=p/b.yaml", "", "p: p/a.yaml; rails: p/b.yaml"},
		{"p/a.yaml q/p/c.yaml", "", "", `two folders are named "p", p and q/p: give one of them another name, as in NAME=q/p`},
		{"p/a.yaml p/a.yaml", "", "", "p/a.yaml is named twice"},
		{"p p/a.yaml", "", "", "p/a.yaml is in p, which is named too"},
		{"p/a.yaml", "rails=p", "", "p/a.yaml is in p, which is named too"},
		{"p/a_test.yaml", "", "", "only files of cases are named: name the documents too"},
		{"p/a.txt", "", "", "p/a.txt: an authorizer reads *.yaml and *.yml only"},
		{"absent.yaml", "", "", "stat absent.yaml: no such file"},
		{"-", "", strings.Repeat("#", 1<<20+1), "standard input: too large"},
	} {
		folders, err := policycli.DocumentSource{Sources: strings.Fields(row.sources), Guardrails: strings.Fields(row.guardrails), Stdin: strings.NewReader(row.stdin)}.OpenFolders()
		var got []string
		for _, f := range folders {
			var files []string
			for _, name := range []string{"a.yaml", "a_test.yaml", "b.yaml", "c.yaml", "d.yaml", "input-1.yaml"} {
				if f.Paths[name] != "" {
					files = append(files, f.FilePath(name))
				}
			}
			got = append(got, f.Name+": "+strings.Join(files, " "))
		}
		if text := strings.Join(got, "; "); err == nil && text != row.want || err != nil && !strings.HasPrefix(err.Error(), row.want) {
			t.Errorf("%s, %s: got %s, %v; want %s", row.sources, row.guardrails, text, err, row.want)
		}
	}
	go func() { _ = os.WriteFile("pipe", []byte(strings.ReplaceAll(readRule, "NAME", "a")), 0o600) }()
	if set, err := (policycli.DocumentSource{Sources: []string{"pipe"}}).LoadSet(); err != nil || set.Documents()[0].File != "pipe" {
		t.Errorf("a pipe: got %v", err)
	}
	if _, err := (policycli.DocumentSource{Sources: []string{"./p/wrong.yaml"}}).LoadSet(); err == nil || !strings.HasPrefix(err.Error(), "./p/wrong.yaml:4:8: ") {
		t.Errorf("a mistake: got %v", err)
	}
	if _, err := (policycli.DocumentSource{Sources: []string{"-"}, Stdin: strings.NewReader(wrongRule)}).LoadSet(); err == nil || !strings.HasPrefix(err.Error(), "standard input:4:8: ") {
		t.Errorf("a mistake in standard input: got %v", err)
	}
}
