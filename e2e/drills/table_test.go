package drills

import (
	"cmp"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/repo"
)

const failurePage = "docs/failure-modes.md"

// The page's table has one row per drill, in the same order, with the answers and logs that
// the drill checks.
func TestTableIsTheDrills(t *testing.T) {
	rows, drills := readTable(t, "failure"), allDrills()
	for i := range max(len(rows), len(drills)) {
		switch {
		case i >= len(drills):
			t.Errorf("%s: no drill is called %q", failurePage, rows[i][0])
		case i >= len(rows):
			t.Errorf("%s lacks the row of the drill %q", failurePage, drills[i].name)
		default:
			compareRow(t, rows[i], drills[i])
		}
	}
}

func compareRow(t *testing.T, row []string, d drill) {
	t.Helper()
	if len(row) != 5 {
		t.Fatalf("%s, row %q: %d cells, want 5", failurePage, row[0], len(row))
	}
	want := []string{d.name, d.closed.name, d.open.name}
	for i, cell := range want {
		if row[i] != cell {
			t.Errorf("%s, row %q, column %d:\n%s\nand the drill has\n%s", failurePage, row[0], i+1, row[i], cell)
		}
	}
	if d.log != "" && !strings.Contains(row[3], "`"+d.log+"`") {
		t.Errorf("%s, row %q lacks the log text `%s`", failurePage, row[0], d.log)
	}
	if row[4] == "" {
		t.Errorf("%s, row %q lacks the last cell, what to do", failurePage, row[0])
	}
}

// The page's table of other places has one row per drill there, in the same order, with the answers that the drill checks.
func TestTableOfOtherPlacesIsTheDrills(t *testing.T) {
	var want [][]string
	for _, d := range placeDrills() {
		row := []string{d.name}
		for _, c := range columns {
			row = append(row, cmp.Or(d.want[c.name].name, "–"))
		}
		want = append(want, row)
	}
	if diff := gocmp.Diff(want, readTable(t, "outage elsewhere")); diff != "" {
		t.Errorf("%s (-drills +page):\n%s", failurePage, diff)
	}
}

// Each row of the page's table of stress has its outcome, its signs, what to do, and a test. A test of the root module
// checks that these exist.
func TestTableOfStressNamesTests(t *testing.T) {
	const test = "`[a-z0-9/]+\\.Test[A-Za-z0-9]+`( \\([^()]+\\))?" // with what it needs or replaces
	named := regexp.MustCompile("^" + test + "(, " + test + ")*$")
	for _, row := range readTable(t, "stress") {
		if len(row) != 5 || slices.Contains(row, "") || !named.MatchString(row[4]) {
			t.Errorf("%s, row %q: want 5 cells, and tests such as `e2e/drills.TestDrills` in the last one", failurePage, row)
		}
	}
}

// The page explains the names in the table above it.
func TestTheNamesAreExplained(t *testing.T) {
	known := []answers{decided, unavailable, backstop, allowed, notAsked, unreachable, decidedAtGateway, closedBehind, keyMissing}
	rows := readTable(t, "callers are")
	if len(rows) != len(known) {
		t.Fatalf("%s explains %d names, want %d", failurePage, len(rows), len(known))
	}
	for i, a := range known {
		want := []string{a.name}
		for _, text := range a.byKind {
			want = append(want, "`"+text+"`")
		}
		if !slices.Equal(rows[i], want) {
			t.Errorf("%s has %q, and the drills %q", failurePage, rows[i], want)
		}
	}
}

// readTable returns the cells of the page's table whose header begins with head, without the header.
func readTable(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	text := mustGet(os.ReadFile(filepath.Join(mustGet(repo.Root())(t), failurePage)))(t)
	_, after, found := strings.Cut(string(text), "\n| "+head+" | ")
	if !found {
		t.Fatalf("%s holds no table %q", failurePage, head)
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
