package page

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestARunRenewsItsRowAndKeepsTheRest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "compatibility.md")
	old := Rows{
		{"v5.8.0", "2026-01-01, aaaaaaa, go1.26.8", "failed, 2026-01-01, aaaaaaa, go1.26.8", Untested},
		{"v5.8.1", Untested, Untested, Untested},
		{"v5.14.0", Untested, Untested, Untested},
	}
	remarks := "\nWritten by hand, | with a bar.\n"
	if err := os.WriteFile(file, []byte(FormatPage(old, remarks)), 0o600); err != nil {
		t.Fatal(err)
	}
	rows, kept, err := ReadPage(file)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows, old) || kept != remarks {
		t.Errorf("read back as\n%v\n%q", rows, kept)
	}
	row := rows.RowOf("v5.8.1")
	row.Built = "2026-02-02, bbbbbbb, go1.26.9"
	rows.SetRow(row)
	rows.SetRow(rows.RowOf("v5.8.15"))
	rows.SetRow(rows.RowOf("v5.8.9"))
	want := Rows{
		old[0],
		{"v5.8.1", "2026-02-02, bbbbbbb, go1.26.9", Untested, Untested},
		{"v5.8.9", Untested, Untested, Untested},
		{"v5.8.15", Untested, Untested, Untested},
		old[2],
	}
	if !slices.Equal(rows, want) {
		t.Errorf("got\n%v\nwant\n%v", rows, want)
	}
}

func TestNoPageYet(t *testing.T) {
	rows, remarks, err := ReadPage(filepath.Join(t.TempDir(), "compatibility.md"))
	if rows != nil || remarks != "" || err != nil {
		t.Errorf("got %v, %q, %v", rows, remarks, err)
	}
}

func TestReadRefusesWhatItWouldLose(t *testing.T) {
	tests := map[string]struct{ page, want string }{
		"no remarks":    {"# Something else\n", `no "## Remarks"`},
		"a column more": {"| v5.8.1 | a | b | c | untested | mine |\n\n## Remarks\n", ":1: not a row"},
		"an image cell": {"| v5.8.1 | a | b | c | 2026-01-01 |\n\n## Remarks\n", ":1: not a row"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "compatibility.md")
			if err := os.WriteFile(file, []byte(test.page), 0o600); err != nil {
				t.Fatal(err)
			}
			_, _, err := ReadPage(file)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
