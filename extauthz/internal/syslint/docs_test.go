package syslint_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
)

const docsFile = "../../../docs/lint.md"

// docs/lint.md has each code with its anchor. go test -update writes the tables.
func TestDocs(t *testing.T) {
	var b strings.Builder
	b.WriteString("<!-- codes -->\n")
	for _, area := range []finding.Area{finding.Istio, finding.Workloads, finding.Tyk, finding.Across} {
		fmt.Fprintf(&b, "### %s\n\n| code | severity, proof | fault | what breaks | how to fix it |\n| --- | --- | --- | --- | --- |\n", area)
		for _, r := range syslint.Rules() {
			if r.Area == area {
				proof, test := syslint.ProofOf(r.Code)
				if test != "" {
					test = " (`" + testFolder(test) + "." + testName(test) + "`)"
				}
				fmt.Fprintf(&b, "| <a id=%q></a>`%s` | %s, %s%s | %s | %s | %s |\n", r.Code, r.Code, r.Severity, proof, test, r.Summary, r.Breaks, strings.ReplaceAll(r.Fix, "|", "\\|"))
			}
		}
		b.WriteString("\n")
	}
	data, err := os.ReadFile(docsFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), "<!-- codes -->\n")
	_, after, closed := strings.Cut(rest, "<!-- end of codes -->")
	if !found || !closed {
		t.Fatal("docs/lint.md has no marks around its codes")
	}
	want := before + strings.TrimSuffix(b.String(), "\n") + "<!-- end of codes -->" + after
	if want == string(data) {
		return
	}
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(docsFile, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("the tables of docs/lint.md differ from the codes: go test -run TestDocs -update")
}

func testFolder(test string) string {
	if folder, _, found := strings.Cut(test, "."); found {
		return "e2e/" + folder
	}
	return "e2e"
}

func testName(test string) string { return test[strings.LastIndex(test, ".")+1:] }

// Each code that is called seen has a test, which `make lint-proof` runs.
func TestProofs(t *testing.T) {
	makefile, err := os.ReadFile("../../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, target, found := strings.Cut(string(makefile), "\nlint-proof: ")
	if !found {
		t.Fatal("no target lint-proof")
	}
	target, _, _ = strings.Cut(target, "\n\n")
	for _, r := range syslint.Rules() {
		_, test := syslint.ProofOf(r.Code)
		if test == "" {
			continue
		}
		if !strings.Contains(target, testName(test)) {
			t.Errorf("%s: make lint-proof does not run %s", r.Code, test)
		}
		files, err := filepath.Glob("../../../" + testFolder(test) + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "\nfunc "+testName(test)+"(")
		}) {
			t.Errorf("%s: there is no %s", r.Code, test)
		}
	}
}
