package main

import (
	"strings"
	"testing"
)

const (
	shipped  = "../../../manifests/policies"
	recorded = "../../policycli/replay/testdata/"
)

// What is printed is judged where it is made; here, that each command gets there
// and which exit code it ends with.
func TestPolicy(t *testing.T) {
	for _, row := range []struct {
		args string
		code int
		want string // in what is printed
	}{
		{"", 2, "policy needs a command"},
		{"--help", 0, "usage: meshpass policy lint DIR..."},
		{"compile", 2, `unknown command "policy compile"`},
		{"lint --help", 0, "--workloads FILE"},
		{"lint", 2, "name a folder of documents"},
		{"lint " + shipped + " --strict", 0, "documents: 3, errors: 0, warnings: 0\n"},
		{"lint -o json " + shipped, 0, `"findings": []`},
		{"lint -o xml " + shipped, 2, "-o xml: want one of github, text, json"},
		{"lint --trust-domain , " + shipped, 2, "want NAME, or NAME,ALIAS"},
		{"lint ../../policycli/lint/testdata/policies -o github", 1, "::error file=../../policycli/lint/testdata/policies/wrong.yaml,line=5,col=25::"},
		{"lint ../../policycli/cases/testdata/policies", 0, "[unguarded_member]\n"},
		{"lint ../../policycli/cases/testdata/policies --strict", 1, "[unguarded_member]\n"},
		{"lint --workloads absent " + shipped, 2, "absent"},
		{"test " + shipped + " --coverage 100", 0, "12 passed, 0 failed\ncoverage 100%"},
		{"test ../../policycli/cases/testdata/policies -o json", 1, `"failed": 3`},
		{"test " + shipped + " --run nobody", 2, "no case in files *_test.yaml"},
		{"test " + shipped + " --run (", 2, "--run: error parsing regexp"},
		{"test " + shipped + " --run tenant --coverage 3", 2, "leave out --run"},
		{"diff " + recorded + "tour " + recorded + "tour --replay " + recorded + "tour.jsonl", 0, "replayed 22, changed 0, undecidable 0; "},
		{"diff --replay " + recorded + "tour.jsonl " + recorded + "tour ../../check/testdata/policies -o json", 1, `"changed": `},
		{"diff --help", 0, "--max-undecidable 0"},
		{"diff " + shipped + " --replay x", 2, "two folders, OLD and NEW, and --replay FILE"},
		{"diff " + shipped + " " + shipped, 2, "two folders, OLD and NEW, and --replay FILE"},
		{"diff " + shipped + " " + shipped + " --replay absent", 2, "absent"},
		{"diff " + shipped + " ../../policycli/lint/testdata/policies --replay " + recorded + "tour.jsonl", 2, "wrong.yaml:5:25"},
		{"diff --unguarded open", 2, "want deny or shadow"},
		{"test " + shipped + " --coverage 101", 2, "want 0 to 100"},
	} {
		code, stdout, stderr := ran(t, append([]string{"policy"}, strings.Fields(row.args)...)...)
		if code != row.code || !strings.Contains(stdout+stderr, row.want) || (code == 2) != (stdout == "") {
			t.Errorf("%s: got %d, %s%s", row.args, code, stdout, stderr)
		}
	}
}

func TestPolicyLintReadsWorkloadsFromAPipe(t *testing.T) {
	code, stdout, _ := piped(t, "ns/shop/sa/orders\nns/shop/sa/new\n", "lint", shipped, "--workloads", "-", "--strict")
	if want := "standard input:2:1: warning: no document in force targets ns/shop/sa/new"; code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("got %d, %s", code, stdout)
	}
}

// piped runs a policy command that reads standard input.
func piped(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err strings.Builder
	c := command{stdin: strings.NewReader(input), stdout: &out, stderr: &err}
	code = c.policy(args)
	return code, out.String(), err.String()
}

// Exit code 2 wins over 1: what cannot be decided may change too.
func TestPolicyDiffWithDoubts(t *testing.T) {
	const unlike = `{"kind":"check","caller":"ns/edge/sa/tyk-gateway","callee":"ns/shop/sa/orders","method":"GET","path":"/x","sub":"a","decision":"allow","reason":"rule_allowed","policy":"orders","rule":"x"}`
	args := []string{"diff", shipped, shipped, "--replay", "-"}
	code, stdout, stderr := piped(t, unlike, args...)
	if code != 2 || !strings.HasSuffix(stdout, "replayed 0, changed 0, undecidable 1\n") || !strings.Contains(stderr, "more is undecidable than --max-undecidable admits") {
		t.Errorf("got %d, %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr = piped(t, unlike, append(args, "--max-undecidable", "1")...); code != 0 {
		t.Errorf("admitted: got %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr = piped(t, "", args...); code != 2 || !strings.Contains(stderr, "no audit record that documents decided") {
		t.Errorf("nothing: got %d, %s", code, stderr)
	}
}
