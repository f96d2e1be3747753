package cases

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
)

// Two folders have a document of one name. Cases name its rule with the folder or without
// it, and coverage counts the two documents apart.
func TestCasesOfTwoFolders(t *testing.T) {
	dir := t.TempDir()
	document := func(target string) string {
		return "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: p}\nspec:\n  targets: {workloads: [" + target +
			"]}\n  identity: optional\n  rules: [{name: r, effect: allow, to: {paths: [/x]}}, {name: s, effect: deny, mode: shadow, to: {paths: [/x]}}]\n"
	}
	cases := func(target, rule, shadow string) string {
		return "apiVersion: meshpass.dev/v1\nkind: PolicyTest\ncases:\n- {name: " + strings.ReplaceAll(rule, "/", "-") + ", caller: ns/e/sa/e, callee: " + target +
			", request: {method: GET, path: /x}, expect: {decision: allow, rule: " + rule + ", shadow: [" + shadow + "]}}\n"
	}
	writeFile(t, dir, "a/p.yaml", document("ns/a/sa/a"))
	writeFile(t, dir, "b/p.yaml", document("ns/b/sa/b"))
	writeFile(t, dir, "a/short_test.yaml", cases("ns/a/sa/a", "p/r", "deny rule_denied p/s"))
	writeFile(t, dir, "a/long_test.yaml", cases("ns/a/sa/a", "a/p/r", "deny rule_denied a/p/s"))
	test := func() Report {
		t.Helper()
		report, err := Run(policycli.DocumentSource{Sources: []string{dir + "/a", dir + "/b"}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := test(); r.Failed != 0 || r.Coverage.Decided != 2 || r.Coverage.Rules != 4 || r.Coverage.Never[0].Folder != "b" {
		t.Errorf("got %+v, %+v", r, r.Coverage)
	}
	writeFile(t, dir, "a/wrong_test.yaml", cases("ns/a/sa/a", "b/p/r", "deny rule_denied b/p/s"))
	r := test()
	if r.Failed != 1 || r.Cases[2].Differences[0] != (Difference{"rule", "b/p/r", "a/p/r"}) || r.Cases[2].Differences[1] != (Difference{"shadow", "deny rule_denied b/p/s", "deny rule_denied a/p/s"}) {
		t.Errorf("another folder's rule: got %+v", r.Cases[2])
	}
}

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
