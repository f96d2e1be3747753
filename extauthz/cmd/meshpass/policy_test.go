package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
)

const (
	shipped  = "../../../manifests/policies"
	recorded = "../../internal/policycli/replay/testdata/"
)

// The packages of the commands test the output. This test checks that each command runs, and
// its exit code.
func TestPolicy(t *testing.T) {
	for _, row := range []struct {
		args string
		code int
		want string // part of the output
	}{
		{"", 2, "policy needs a command"},
		{"--help", 0, "Usage: meshpass policy COMMAND"},
		{"compile", 2, `unknown command "policy compile"`},
		{"lint --help", 0, "--workloads FILE"},
		{"lint", 2, "name a folder of documents"},
		{"lint " + shipped + " --strict", 0, "documents: 3, errors: 0, warnings: 0\n"},
		{"lint -o json " + shipped, 0, `"findings": []`},
		{"lint -v " + shipped, 0, "ns/shop/sa/orders: ../../../manifests/policies/orders.yaml (enforce)\n"},
		{"lint -v -o json " + shipped, 0, `"target": "ns/shop/sa/orders"`},
		{"lint -o xml " + shipped, 2, `invalid value "xml" for -o: want text, json, github or sarif`},
		{"lint --trust-domain , " + shipped, 2, "want NAME, or NAME,ALIAS"},
		{"lint --members tenant,plan " + shipped, 0, "errors: 0"},
		{"lint --members plan " + shipped, 1, "claims.tctx.tenant is in no token: the known members are api, auth, org, plan, sid"},
		{"lint --members plan, " + shipped, 2, "want NAME, or NAME,NAME"},
		{"lint ../../internal/policycli/lint/testdata/policies -o github", 1, "::error file=../../internal/policycli/lint/testdata/policies/wrong.yaml,line=5,col=25::"},
		{"lint ../../internal/policycli/cases/testdata/policies", 0, "[unguarded_member]\n"},
		{"lint ../../internal/policycli/cases/testdata/policies --strict", 1, "[unguarded_member]\n"},
		{"lint --workloads absent " + shipped, 2, "absent"},
		{"test " + shipped + " --coverage 100", 0, "12 passed, 0 failed\ncoverage 100%"},
		{"test ../../internal/policycli/cases/testdata/policies -o json", 1, `"failed": 3`},
		{"test " + shipped + " --run nobody", 2, "no case in files *_test.yaml"},
		{"test " + shipped + " --run (", 2, "--run: error parsing regexp"},
		{"test " + shipped + " --run tenant --coverage 3", 2, "leave out --run"},
		{"diff " + recorded + "tour " + recorded + "tour --replay " + recorded + "tour.jsonl", 0, "replayed 22, changed 0, undecidable 0; "},
		{"diff --replay " + recorded + "tour.jsonl " + recorded + "tour ../../internal/check/testdata/policies -o json", 1, `"changed": `},
		{"explain " + shipped, 2, "name the request: --callee, --check or --record"},
		{"explain --help", 0, "--check FILE"},
		{"explain --callee ns/shop/sa/orders", 2, "name a folder of documents"},
		{"explain --callee ns/shop/sa/orders " + shipped, 1, "deny token_missing: there is no token"},
		{"explain " + shipped + " --callee ns/shop/sa/orders --caller ns/edge/sa/tyk-gateway --path /tenants/a/orders/1 --header X-A=b --now 2026-06-01T12:00:00Z -o json --claims " +
			`{"scope":"orders.read","tctx":{"tenant":"a"}}`, 0, `"allow rule_allowed orders/read-own-tenant"`},
		{"explain " + shipped + " --check ../../internal/policycli/explain/testdata/check.json", 1, "deny token_format"},
		{"explain " + shipped + " --check ../../internal/policycli/explain/testdata/check.json --config absent", 2, "absent"},
		{"explain " + shipped + " --check absent", 2, "absent"},
		{"explain " + shipped + " --record " + recorded + "tour.jsonl --id 01a206a5-b4fd-7832-a498-386f447c7965", 0, "allow rule_allowed orders/read-own-tenant"},
		{"explain " + shipped + " --record " + recorded + "tour.jsonl", 2, "34 records: choose with --id"},
		{"explain " + shipped + " --record x --check y", 2, "--check and --record exclude each other"},
		{"explain " + shipped + " --config x", 2, "--config verifies the token of --check"},
		{"explain " + shipped + " --id x", 2, "--id chooses among those of --record"},
		{"explain " + shipped + " --callee ns/shop/sa/orders --port 65536", 2, "--port 65536: want at most 65535"},
		{"explain " + shipped + " --callee ns/shop/sa/orders --claims {}{}", 2, "claims: something follows"},
		{"explain " + shipped + " --header x", 2, "want NAME=VALUE"},
		{"explain " + shipped + " --now noon", 2, "cannot parse"},
		{"diff --help", 0, "--max-undecidable NUMBER"},
		{"diff " + shipped + " --replay x", 2, "two sources, OLD and NEW, and --replay FILE"},
		{"diff " + shipped + " " + shipped, 2, "two sources, OLD and NEW, and --replay FILE"},
		{"diff " + shipped + " " + shipped + " --replay absent", 2, "absent"},
		{"diff " + shipped + " ../../internal/policycli/lint/testdata/policies --replay " + recorded + "tour.jsonl", 2, "wrong.yaml:5:25"},
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
	if want := "standard input:2:1: warning: no enforced document targets ns/shop/sa/new"; code != 1 || !strings.HasPrefix(stdout, want) {
		t.Errorf("got %d, %s", code, stdout)
	}
}

// piped runs a policy command that reads standard input.
func piped(t *testing.T, input string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return ranWith(t, input, append([]string{"policy"}, args...)...)
}

// Exit code 2 wins over 1: an undecidable decision may change too.
func TestPolicyDiffWithDoubts(t *testing.T) {
	const unlike = `{"kind":"check","caller":"ns/edge/sa/tyk-gateway","callee":"ns/shop/sa/orders","method":"GET","path":"/x","sub":"a","decision":"allow","reason":"rule_allowed","policy":"orders","rule":"x"}`
	args := []string{"diff", shipped, shipped, "--replay", "-"}
	code, stdout, stderr := piped(t, unlike, args...)
	if code != 2 || !strings.HasSuffix(stdout, "replayed 0, changed 0, undecidable 1\n") || !strings.Contains(stderr, "more decisions are undecidable than --max-undecidable allows") {
		t.Errorf("got %d, %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr = piped(t, unlike, append(args, "--max-undecidable", "1")...); code != 0 {
		t.Errorf("admitted: got %d, %s%s", code, stdout, stderr)
	}
	if code, _, stderr = piped(t, "", args...); code != 2 || !strings.Contains(stderr, "no audit record that documents decided") {
		t.Errorf("nothing: got %d, %s", code, stderr)
	}
}

// With a configuration, the token of a Check is verified. The trust of this configuration does
// not know its key.
func TestPolicyExplainVerifies(t *testing.T) {
	data, err := os.ReadFile("../../internal/policycli/explain/testdata/check.json")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	raw := tokentest.ValidToken(t, now)
	args := []string{"explain", shipped, "--check", "-", "--now", now.Format(time.RFC3339)}
	check := strings.Replace(string(data), "TOKEN", raw, 1)
	_, stdout, stderr := piped(t, check, args...)
	if !strings.Contains(stdout, "idp:alice, NOT VERIFIED") || strings.Contains(stdout+stderr, raw) {
		t.Errorf("got %s%s", stdout, stderr)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yaml")
	for _, c := range [][]string{{"keys", "new", "--dir", dir + "/keys", "--first", "--test"}, {"keys", "publish", "--dir", dir + "/keys", "--out", dir + "/jwks.json"}} {
		if code, _, stderr := ran(t, c...); code != 0 {
			t.Fatal(stderr)
		}
	}
	text := "trust: [{issuer: " + tokentest.Issuer + ", audience: " + tokentest.Audience + ", jwks: {file: jwks.json}}]\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := piped(t, check, append(args, "--config", config)...)
	if code != 1 || !strings.HasPrefix(stdout, "deny kid_unknown: the token is invalid or cannot be verified: see docs/token.md") {
		t.Errorf("got %d, %s%s", code, stdout, stderr)
	}
}
