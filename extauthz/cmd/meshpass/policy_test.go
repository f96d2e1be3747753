package main

import (
	"strings"
	"testing"
)

const shipped = "../../../manifests/policies"

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
