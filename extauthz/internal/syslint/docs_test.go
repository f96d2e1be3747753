package syslint_test

import (
	"flag"
	"fmt"
	"os"
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
	for _, area := range []finding.Area{finding.Istio, finding.Tyk, finding.Across} {
		fmt.Fprintf(&b, "### %s\n\n| code | severity, proof | fault | what breaks | how to fix it |\n| --- | --- | --- | --- | --- |\n", area)
		for _, r := range syslint.Rules() {
			if r.Area == area {
				fmt.Fprintf(&b, "| <a id=%q></a>`%s` | %s, %s | %s | %s | %s |\n", r.Code, r.Code, r.Severity, r.Proof, r.Summary, r.Breaks, strings.ReplaceAll(r.Fix, "|", "\\|"))
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
