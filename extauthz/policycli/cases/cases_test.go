package cases_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/extauthz/policycli"
	"github.com/meshpass/meshpass/extauthz/policycli/cases"
	"github.com/meshpass/meshpass/extauthz/policycli/golden"
	"github.com/meshpass/meshpass/shared/policy"
)

func test(t *testing.T, dir string, o cases.Options) cases.Report {
	t.Helper()
	if o.All = o.Only == nil; o.All {
		o.Only = regexp.MustCompile("")
	}
	report, err := cases.Test(policycli.Source{Dirs: []string{dir}}, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestPrinted(t *testing.T) {
	report := test(t, "testdata/policies", cases.Options{Coverage: 90})
	var quiet, verbose, indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	err := errors.Join(report.Print(&quiet), encoder.Encode(report))
	report.Verbose = true
	if err = errors.Join(err, report.Print(&verbose)); err != nil {
		t.Fatal(err)
	}
	golden.Compare(t, "test.txt", quiet.String())
	golden.Compare(t, "test-v.txt", verbose.String())
	golden.Compare(t, "test.json", indented.String())
	if report.OK() {
		t.Error("failed cases are fine")
	}
}

func TestOnlySome(t *testing.T) {
	report := test(t, "testdata/policies", cases.Options{Only: regexp.MustCompile("^her own$|expired")})
	if len(report.Cases) != 2 || !report.OK() || report.Coverage != nil {
		t.Errorf("got %+v", report)
	}
}

// The policies that are shipped do what their cases say, and no rule is untried.
func TestTheShippedPolicies(t *testing.T) {
	report := test(t, "../../../manifests/policies", cases.Options{Coverage: 100})
	var text strings.Builder
	if err := report.Print(&text); err != nil || !report.OK() {
		t.Errorf("%v\n%s", err, text.String())
	}
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
		if row.c.String() != row.want || row.c.Enough() == strings.Contains(row.want, "want") {
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
		{"two tokens", "cases: [{name: a, token: token_expired, claims: {sub: x}, " + request + "}]", "one of user, claims and token"},
		{"an unknown user", "cases: [{name: a, user: bob, " + request + "}]", `user "bob" does not stand under users`},
		{"a token that is none", "cases: [{name: a, token: rule_allowed, " + request + "}]", `token "rule_allowed": want the reason why it is refused`},
		{"a date", "cases: [{name: a, claims: {tctx: {since: [2026-06-01]}}, " + request + "}]", "since: YAML takes 2026-06-01 for a time: put it in quotes"},
		{"a time", "cases: [{name: a, now: noon, " + request + "}]", `now "noon": want a time such as`},
		{"nothing expected", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "reason: no_rule", 1) + "}]", "expect.decision: want allow or deny"},
		{"an unknown reason", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "decision: deny, reason: nope", 1) + "}]", `expect.reason "nope" is none of those`},
		{"a rule without its document", "cases: [{name: a, " + strings.Replace(request, "decision: deny", "decision: deny, rule: r", 1) + "}]", `expect.rule "r": want DOCUMENT/RULE`},
	} {
		text := "apiVersion: meshpass.dev/v1\nkind: PolicyTest\n" + row.text + "\n"
		if strings.HasPrefix(row.text, "kind") {
			text = "\n\n\napiVersion: meshpass.dev/v1\n" + row.text + "\n"
		}
		_, problems := cases.Read(policy.Dir{Files: fstest.MapFS{"f_test.yaml": {Data: []byte(text)}}}, policy.Loader{})
		if len(problems) == 0 || !strings.Contains(problems.Error(), row.want) {
			t.Errorf("%s: got %v", row.name, problems)
		}
	}
}

func TestNothingToTest(t *testing.T) {
	for _, o := range []cases.Options{{Only: regexp.MustCompile("no such case")}} {
		if _, err := cases.Test(policycli.Source{Dirs: []string{"testdata/policies"}}, o); !errors.Is(err, cases.ErrNone) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := cases.Test(policycli.Source{Dirs: []string{"../lint/testdata/policies"}}, cases.Options{Only: regexp.MustCompile("")}); err == nil || !strings.Contains(err.Error(), "wrong_test.yaml:7:14") {
		t.Errorf("cases that cannot be used: got %v", err)
	}
}
