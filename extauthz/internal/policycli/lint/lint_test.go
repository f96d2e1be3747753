package lint_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/lint"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
)

func lintDirs(t *testing.T, members string, dirs ...string) lint.Report {
	t.Helper()
	var workloads *lint.Workloads
	if members != "" {
		workloads = &lint.Workloads{Name: "workloads.txt", Data: strings.NewReader(members)}
	}
	report, err := lint.Run(policycli.DocumentSource{Sources: dirs}, workloads)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestPrinted(t *testing.T) {
	members, err := os.ReadFile("testdata/workloads.txt")
	if err != nil {
		t.Fatal(err)
	}
	report := lintDirs(t, string(members), "testdata/policies")
	var text, github, indented strings.Builder
	encoder := json.NewEncoder(&indented)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := errors.Join(report.Print(&text), report.PrintGitHub(&github), encoder.Encode(report)); err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "lint.txt", text.String())
	golden.CompareFile(t, "lint.github", github.String())
	golden.CompareFile(t, "lint.json", indented.String())
	if report.Passes(false) {
		t.Error("errors are fine")
	}
}

// Characters that end a value or begin a workflow command are escaped.
func TestWorkflowCommandsHoldTogether(t *testing.T) {
	report := lint.Report{Findings: []lint.Finding{{Severity: lint.Error, File: "a:b,c%\n::x", Line: 3, Message: "100%\r\n::warning::forged"}}}
	var got strings.Builder
	if err := report.PrintGitHub(&got); err != nil {
		t.Fatal(err)
	}
	if want := "::error file=a%3Ab%2Cc%25%0A%3A%3Ax,line=3,col=1::100%25%0D%0A::warning::forged\n"; got.String() != want {
		t.Errorf("got %q", got.String())
	}
}

func TestVerdicts(t *testing.T) {
	warned := lintDirs(t, "ns/batch/sa/nightly\n", "../../check/testdata/policies")
	last := warned.Findings[len(warned.Findings)-1]
	if last.Code != lint.UnguardedWorkload || last.File != "workloads.txt" || last.Line != 1 || !warned.Passes(false) || warned.Passes(true) {
		t.Errorf("got %+v", last)
	}
	clean := lintDirs(t, "ns/shop/sa/orders\n", "../../../../manifests/policies")
	if len(clean.Findings) > 0 || !clean.Passes(true) {
		t.Errorf("the policies that are shipped: %+v", clean.Findings)
	}
	if _, err := lint.Run(policycli.DocumentSource{}, nil); !errors.Is(err, policycli.ErrNoSource) {
		t.Errorf("no folder: got %v", err)
	}
	if _, err := lint.Run(policycli.DocumentSource{Sources: []string{"absent"}}, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no such folder: got %v", err)
	}
	if _, err := lint.Run(policycli.DocumentSource{Sources: []string{"lint.go"}}, nil); err == nil || err.Error() != "lint.go: an authorizer reads *.yaml and *.yml only: rename the file, or give it as standard input" {
		t.Errorf("a file: got %v", err)
	}
}

// Documents of a guardrail folder get the warnings of guardrails, and not those of teams.
func TestGuardrailsAreReadAsSuch(t *testing.T) {
	report, err := lint.Run(policycli.DocumentSource{Guardrails: []string{"testdata/policies"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, f := range report.Findings {
		found[string(f.Code)+" "+f.Rule] = true
	}
	if !found["guardrail_needs_token suspended"] || found["native_istio "] {
		t.Errorf("got %v", found)
	}
}

// Lint reports the cases that prove nothing, as `policy test` does.
func TestCasesThatCannotBeMeant(t *testing.T) {
	report := lintDirs(t, "", "testdata/vacuous")
	want := lint.Finding{Severity: lint.Error, File: "testdata/vacuous/orders_test.yaml", Line: 4, Column: 5,
		Message: `case "a typo": expect.rule "orders/red": no document has such a rule (did you mean "orders/read"?)`}
	if len(report.Findings) != 1 || report.Findings[0] != want {
		t.Errorf("got %+v", report.Findings)
	}
}
