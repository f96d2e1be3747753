package lint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/lint"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	"github.com/meshpass/meshpass/shared/identity"
)

// testdata/mistakes.txt has the usual mistakes: a mistake after "###", its files after "==",
// and the messages of lint after "--". Each message names the key, the place and the fix.
// Consequences of a mistake are not reported.
func TestMessagesOfUsualMistakes(t *testing.T) {
	table, err := os.ReadFile("testdata/mistakes.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for _, row := range strings.Split(string(table), "### ")[1:] {
		mistake, _, found := strings.Cut(row, "\n-- \n")
		if !found {
			mistake = strings.TrimSuffix(row, "-- \n")
		}
		got.WriteString("### " + strings.TrimSuffix(mistake, "\n") + "\n-- \n" + messagesOf(t, mistake))
	}
	golden.CompareFile(t, "mistakes.txt", got.String())
}

func messagesOf(t *testing.T, mistake string) string {
	t.Helper()
	dir := t.TempDir()
	for _, file := range strings.Split(mistake, "\n== ")[1:] {
		name, text, _ := strings.Cut(file, "\n")
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	report, err := lint.Run(policycli.DocumentSource{Sources: []string{dir}, Domains: domains}, nil)
	if err != nil {
		return err.Error() + "\n"
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.ReplaceAll(text.String(), dir+"/", ""), "\n")
	return strings.Join(lines[:len(lines)-2], "\n") + "\n"
}

var domains = identity.TrustDomains{Local: "cluster.local"}
