package drills

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

const page = "docs/failure-modes.md"

// The page's table has one row per drill, in the same order, and says of callers
// and logs what the drill has seen.
func TestTableIsTheDrills(t *testing.T) {
	rows, drills := table(t, "failure"), all()
	for i := range max(len(rows), len(drills)) {
		switch {
		case i >= len(drills):
			t.Errorf("%s: no drill is called %q", page, rows[i][0])
		case i >= len(rows):
			t.Errorf("%s lacks the row of the drill %q", page, drills[i].name)
		default:
			compareRow(t, rows[i], drills[i])
		}
	}
}

func compareRow(t *testing.T, row []string, d drill) {
	t.Helper()
	if len(row) != 5 {
		t.Fatalf("%s, row %q: %d cells, want 5", page, row[0], len(row))
	}
	want := []string{d.name, d.closed.name, d.open.name}
	for i, cell := range want {
		if row[i] != cell {
			t.Errorf("%s, row %q, column %d:\n%s\nand the drill says\n%s", page, row[0], i+1, row[i], cell)
		}
	}
	if d.log != "" && !strings.Contains(row[3], "`"+d.log+"`") {
		t.Errorf("%s, row %q does not say what is logged: `%s`", page, row[0], d.log)
	}
	if row[4] == "" {
		t.Errorf("%s, row %q does not say what to do", page, row[0])
	}
}

// The names in the table are explained above it.
func TestTheNamesAreExplained(t *testing.T) {
	known := []answers{decided, refused, backstop, letIn, unasked, unreachable, keyless}
	rows := table(t, "callers are")
	if len(rows) != len(known) {
		t.Fatalf("%s explains %d names, want %d", page, len(rows), len(known))
	}
	for i, a := range known {
		want := []string{a.name}
		for _, text := range a.of {
			want = append(want, "`"+text+"`")
		}
		if !slices.Equal(rows[i], want) {
			t.Errorf("%s says %q, and the drills %q", page, rows[i], want)
		}
	}
}

// table are the cells of the page's table whose head begins so, without the head.
func table(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	text := must1(os.ReadFile(filepath.Join(must1(repo.Root())(t), page)))(t)
	_, after, found := strings.Cut(string(text), "\n| "+head+" | ")
	if !found {
		t.Fatalf("%s holds no table %q", page, head)
	}
	for line := range strings.Lines(after) {
		line, isRow := strings.CutPrefix(strings.TrimSpace(line), "| ")
		if isRow && !strings.HasPrefix(line, "---") {
			rows = append(rows, strings.Split(strings.TrimSuffix(line, " |"), " | "))
		} else if len(rows) > 0 && !isRow {
			break
		}
	}
	return rows
}
