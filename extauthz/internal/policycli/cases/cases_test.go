package cases_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/cases"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/lint"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
)

func runCases(t *testing.T, dir string, o cases.Options) cases.Report {
	t.Helper()
	report, err := cases.Run(policycli.DocumentSource{Sources: []string{dir}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestPrinted(t *testing.T) {
	report := runCases(t, "testdata/policies", cases.Options{MinCoverage: 90})
	var quiet, verbose, indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	err := errors.Join(report.Print(&quiet), encoder.Encode(report))
	report.Verbose = true
	if err = errors.Join(err, report.Print(&verbose)); err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "test.txt", quiet.String())
	golden.CompareFile(t, "test-v.txt", verbose.String())
	golden.CompareFile(t, "test.json", indented.String())
	if report.Passed() {
		t.Error("failed cases are fine")
	}
}

func TestOnlySome(t *testing.T) {
	report := runCases(t, "testdata/policies", cases.Options{NamePattern: regexp.MustCompile("^her own$|expired")})
	if len(report.Cases) != 2 || !report.Passed() || report.Coverage != nil {
		t.Errorf("got %+v", report)
	}
}

// The shipped policies pass their cases, and every rule decides one.
func TestTheShippedPolicies(t *testing.T) {
	report := runCases(t, "../../../../manifests/policies", cases.Options{MinCoverage: 100})
	var text strings.Builder
	if err := report.Print(&text); err != nil || !report.Passed() {
		t.Errorf("%v\n%s", err, text.String())
	}
}

// The shipped guardrails pass their cases, and lint finds nothing in them.
func TestTheShippedGuardrails(t *testing.T) {
	source := policycli.DocumentSource{Sources: []string{"../../../../manifests/policies"}, Guardrails: []string{"../../../../manifests/guardrails"}}
	report, err := cases.Run(source, cases.Options{MinCoverage: 100})
	if err != nil || !report.Passed() {
		t.Errorf("got %v, %+v", err, report)
	}
	if problems, warnings := lint.Run(policysource.Loader{}, openFolders(t, source)...); len(problems) > 0 || len(warnings) > 0 {
		t.Errorf("got %v, %v", problems, warnings)
	}
}

func openFolders(t *testing.T, source policycli.DocumentSource) []policysource.Dir {
	t.Helper()
	dirs, err := source.OpenFolders()
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestCoverage(t *testing.T) {
	for _, row := range []struct {
		c    cases.Coverage
		want string
	}{
		{cases.Coverage{Decided: 3, Rules: 4, Want: 75}, "coverage 75%: 3 of 4 rules and public entries decided a case"},
		{cases.Coverage{Decided: 2, Rules: 3, Want: 67}, "coverage 66%: 2 of 3 rules and public entries decided a case; want 67%"},
		{cases.Coverage{Want: 100}, "coverage 100%: 0 of 0 rules and public entries decided a case"},
	} {
		if row.c.String() != row.want || row.c.IsEnough() == strings.Contains(row.want, "want") {
			t.Errorf("got %s", row.c)
		}
	}
}

func TestCasesThatAreRefused(t *testing.T) {
	const request = "caller: none, callee: ns/a/sa/b, request: {method: GET, path: /}, expect: {decision: deny}"
	for _, row := range []struct{ name, text, want string }{
		{"a document", "kind: AccessPolicy", "f_test.yaml:4:1: want apiVersion: meshpass.dev/v1 and kind: PolicyTest"},
		{"a misspelt field", "cases: [{nam: a, " + request + "}]", `unknown key "nam"`},
		{"no cases", "cases: []", "want cases: a list that is not empty"},
		{"no name", "cases: [{" + request + "}]", "a case needs a name"},
		{"no caller", "cases: [{name: a, " + strings.Replace(request, "caller: none, ", "", 1) + "}]", "want caller, here or under defaults"},
		{"a caller with a wildcard", "cases: [{name: a, " + strings.Replace(request, "none", "ns/*/sa/b", 1) + "}]", `caller "ns/*/sa/b": want one workload`},
		{"a callee with a wildcard", "cases: [{name: a, " + strings.Replace(request, "ns/a/sa/b", "ns/*/sa/b", 1) + "}]", `callee "ns/*/sa/b": want one of those that documents target`},
		{"no path", "cases: [{name: a, " + strings.Replace(request, ", path: /", "", 1) + "}]", "want request.method and request.path"},
		{"a header's name", "cases: [{name: a, " + strings.Replace(request, "path: /", "path: /, headers: {X-A: b}", 1) + "}]", `header "X-A": write "x-a"`},
		{"one name twice", "cases: [{name: a, " + request + "}, {name: a, " + request + "}]", `a second case is named "a", the first one is in line 3`},
		{"a mistyped user", "users: {alice: {sub: okta:alice}}\ncases: [{name: a, user: alcie, " + request + "}]", `user "alcie" is not among users (did you mean "alice"?)`},
		{"two tokens", "cases: [{name: a, token: token_expired, claims: {sub: x}, " + request + "}]", "one of user, claims and token"},
		{"an unknown user", "cases: [{name: a, user: bob, " + request + "}]", `user "bob" is not among users`},
		{"a token that is none", "cases: [{name: a, token: rule_allowed, " + request + "}]", `token "rule_allowed": want the reason why there are no claims`},
		{"a token with the reason of a rule", "cases: [{name: a, token: rule_denied, " + request + "}]", `token "rule_denied": want the reason why there are no claims`},
		{"a token with the reason of a path", "cases: [{name: a, token: ambiguous_path, " + request + "}]", `token "ambiguous_path": want the reason why there are no claims`},
		{"a token with the gateway's own fault", "cases: [{name: a, token: mint_failed, " + request + "}]", `token "mint_failed": want the reason why there are no claims`},
		{"a date", "cases: [{name: a, claims: {tctx: {since: [2026-06-01]}}, " + request + "}]", "since: YAML takes 2026-06-01 for a time: put it in quotes"},
		{"a time", "cases: [{name: a, now: noon, " + request + "}]", `now "noon": want a time such as`},
		{"nothing expected", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "reason: no_rule", 1) + "}]", "expect.decision: want allow or deny"},
		{"an unknown reason", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "decision: deny, reason: nope", 1) + "}]", `expect.reason "nope" is not a reason of docs/policy.md`},
		{"a rule without its document", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "decision: deny, rule: r", 1) + "}]", `expect.rule "r": want DOCUMENT/RULE`},
	} {
		text := "apiVersion: meshpass.dev/v1\nkind: PolicyTest\n" + row.text + "\n"
		if strings.HasPrefix(row.text, "kind") {
			text = "\n\n\napiVersion: meshpass.dev/v1\n" + row.text + "\n"
		}
		_, problems := cases.ReadFolder(policysource.Dir{Files: fstest.MapFS{"f_test.yaml": {Data: []byte(text)}}}, identity.TrustDomains{})
		if len(problems) == 0 || !strings.Contains(problems.Error(), row.want) {
			t.Errorf("%s: got %v", row.name, problems)
		}
	}
}

func TestNothingToTest(t *testing.T) {
	for _, o := range []cases.Options{{NamePattern: regexp.MustCompile("no such case")}} {
		if _, err := cases.Run(policycli.DocumentSource{Sources: []string{"testdata/policies"}}, o); !errors.Is(err, cases.ErrNoCases) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := cases.Run(policycli.DocumentSource{Sources: []string{"../lint/testdata/policies"}}, cases.Options{}); err == nil || !strings.Contains(err.Error(), "wrong_test.yaml:7:14") {
		t.Errorf("cases that cannot be used: got %v", err)
	}
}

// A case that proves nothing is an error. As a denial it would pass with any documents.
func TestCasesThatCannotBeMeant(t *testing.T) {
	documents := fstest.MapFS{
		"orders.yaml": {Data: []byte(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules:
    - {name: read, effect: allow, scopes: [orders.read]}
    - {name: no-batch, effect: deny, mode: shadow, from: {workloads: [ns/batch/sa/nightly]}}
`)},
	}
	guardrails := fstest.MapFS{"debug.yaml": {Data: []byte(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: debug}
spec:
  targets: {workloads: ["ns/*/sa/*"]}
  rules:
    - {name: no-debug, effect: deny, to: {paths: ["/debug/**", /debug]}}
`)}}
	read := func(expect, callee string) ([]cases.Case, *policy.Set) {
		t.Helper()
		documents["orders_test.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: meshpass.dev/v1\nkind: PolicyTest\ncases:\n" +
			"  - {name: c, caller: none, callee: " + callee + ", request: {method: GET, path: /}, expect: {" + expect + "}}\n")}
		all, problems := cases.ReadFolder(policysource.Dir{Name: "p", Files: documents}, identity.TrustDomains{})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		dirs := []policysource.Dir{{Name: "p", Files: documents}}
		if callee == "ns/blog/sa/web" {
			dirs = append(dirs, policysource.Dir{Name: "g", Files: guardrails, Guardrail: true})
		}
		set, err := policysource.Loader{}.Load(dirs...)
		if err != nil {
			t.Fatal(err)
		}
		return all, set
	}
	for _, row := range []struct{ name, expect, callee, want string }{
		{"a mistyped callee", "decision: deny", "ns/shop/sa/order",
			`p/orders_test.yaml:4:5: case "c": no document targets the callee ns/shop/sa/order (did you mean "ns/shop/sa/orders"?); targets are ns/shop/sa/orders. If the callee is meant, expect the reason unguarded`},
		{"nobody guards it, as expected", "decision: deny, reason: unguarded", "ns/shop/sa/order", ""},
		{"a callee that guardrails alone target", "decision: deny", "ns/blog/sa/web",
			`p/orders_test.yaml:4:5: case "c": only guardrails target the callee ns/blog/sa/web, so every request to it is denied; expect a rule or a reason too`},
		{"what a guardrail denies", "decision: deny, rule: debug/no-debug", "ns/blog/sa/web", ""},
		{"a reason of such a callee", "decision: deny, reason: no_rule", "ns/blog/sa/web", ""},
		{"an unknown rule", "decision: deny, rule: orders/red", "ns/shop/sa/orders",
			`p/orders_test.yaml:4:5: case "c": expect.rule "orders/red": no document has such a rule (did you mean "orders/read"?)`},
		{"an unknown document", "decision: deny, rule: order/read", "ns/shop/sa/orders",
			`p/orders_test.yaml:4:5: case "c": expect.rule "order/read": no document has such a rule (did you mean "orders/read"?)`},
		{"a known rule", "decision: deny, rule: orders/read", "ns/shop/sa/orders", ""},
		{"a shadow that no record has", "decision: deny, shadow: [orders/no-batch]", "ns/shop/sa/orders",
			`p/orders_test.yaml:4:5: case "c": expect.shadow "orders/no-batch": want DECISION REASON, or DECISION REASON DOCUMENT/RULE, as in the audit record`},
		{"a shadow of an unknown reason", "decision: deny, shadow: [deny because]", "ns/shop/sa/orders",
			`p/orders_test.yaml:4:5: case "c": expect.shadow "deny because": want DECISION REASON, or DECISION REASON DOCUMENT/RULE, as in the audit record`},
		{"a shadow of an unknown rule", "decision: deny, shadow: [deny rule_denied orders/no-bath]", "ns/shop/sa/orders",
			`p/orders_test.yaml:4:5: case "c": expect.shadow "orders/no-bath": no document has such a rule (did you mean "orders/no-batch"?)`},
		{"a known shadow", "decision: deny, shadow: [deny rule_denied orders/no-batch, deny no_rule]", "ns/shop/sa/orders", ""},
	} {
		all, set := read(row.expect, row.callee)
		got := ""
		if err := cases.CheckMeaning(set, all).Err(); err != nil {
			got = err.Error()
		}
		if got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.name, got, row.want)
		}
	}
}

// A rule that decided only cases that failed is not covered.
func TestFailedCasesCoverNothing(t *testing.T) {
	report := runCases(t, "testdata/policies", cases.Options{})
	for _, rule := range report.Coverage.Never {
		if rule.Rule == "office-hours" {
			return
		}
	}
	t.Errorf("orders/office-hours decided one case, which failed; never: %v", report.Coverage.Never)
}

// A case whose denial does not depend on the rules must expect the reason of the denial.
func TestCasesThatProveNothing(t *testing.T) {
	const documents = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules:
    - {name: read, effect: allow, from: {workloads: [ns/edge/sa/tyk-gateway]}, to: {hosts: [orders.shop], paths: ['/**']}}
---
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: later}
spec:
  targets: {workloads: [ns/shop/sa/stock]}
  mode: shadow
  rules:
    - {name: read, effect: allow, scopes: [s]}
`
	for _, row := range []struct{ fields, want string }{
		{"expect: {decision: deny}, request: {path: '/a//b'}", "the request can be read in two ways, so it is denied whatever the rules say; expect the reason ambiguous_path if that is meant"},
		{"expect: {decision: deny, reason: ambiguous_path}, request: {path: '/a//b'}", ""},
		{"expect: {decision: deny}, request: {method: get}", "the request can be read in two ways, so it is denied whatever the rules say; expect the reason ambiguous_method if that is meant"},
		{"expect: {decision: deny}, request: {host: 'orders.shop:x'}", "the request can be read in two ways, so it is denied whatever the rules say; expect the reason ambiguous_host if that is meant"},
		{"expect: {decision: deny}, callee: ns/shop/sa/stock", "only documents in shadow target the callee ns/shop/sa/stock, so every request to it is denied; expect the reason unguarded, or what is in shadow"},
		{"expect: {decision: deny, shadow: [deny no_rule]}, callee: ns/shop/sa/stock", ""},
		{"expect: {decision: deny, shadow: [allow no_rule]}, callee: ns/shop/sa/stock", `expect.shadow "allow no_rule": want DECISION REASON, or DECISION REASON DOCUMENT/RULE, as in the audit record`},
		{"expect: {decision: deny}, caller: ns/edge/sa/tyk-gatway", `no rule names the caller ns/edge/sa/tyk-gatway (did you mean "ns/edge/sa/tyk-gateway"?). If the caller is meant, expect the reason no_rule`},
		{"expect: {decision: deny, reason: no_rule}, caller: ns/edge/sa/tyk-gatway", ""},
		{"expect: {decision: deny}, caller: ns/blog/sa/web", ""},
		{"expect: {decision: deny}", ""},
	} {
		files := fstest.MapFS{"orders.yaml": {Data: []byte(documents)}, "orders_test.yaml": {Data: []byte("apiVersion: meshpass.dev/v1\nkind: PolicyTest\n" +
			"defaults: {caller: ns/edge/sa/tyk-gateway, callee: ns/shop/sa/orders, request: {method: GET, path: /, host: orders}}\ncases:\n" +
			"  - {name: c, claims: {sub: 'okta:a'}, " + row.fields + "}\n")}}
		dir := policysource.Dir{Name: "p", Files: files}
		all, problems := cases.ReadFolder(dir, identity.TrustDomains{})
		set, err := policysource.Loader{}.Load(dir)
		if err != nil || len(problems) > 0 {
			t.Fatal(row.fields, problems, err)
		}
		want := row.want
		if want != "" {
			want = `p/orders_test.yaml:5:5: case "c": ` + want
		}
		var got string
		if problems := cases.CheckMeaning(set, all); len(problems) > 0 {
			got = problems.Error()
		}
		if got != want {
			t.Errorf("%s: got %s", row.fields, got)
		}
	}
}
