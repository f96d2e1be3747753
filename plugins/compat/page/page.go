// Package page reads and writes docs/compatibility.md: a table that the program updates row by row, and
// remarks that people write and the program keeps.
package page

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Untested is the cell of a release that was not tried.
const Untested = "untested"

// Row is a release and its results. A cell is [Untested], or a date, a commit and a version of Go, with
// "failed" or "refused" before them if the step failed.
type Row struct {
	Release            string
	Built, Loaded, Ran string
}

// Rows are in the order of releases.
type Rows []Row

// RowOf gives the row of a release; a release without row is untested.
func (r Rows) RowOf(release string) Row {
	if i := r.indexOf(release); i >= 0 {
		return r[i]
	}
	return Row{Release: release, Built: Untested, Loaded: Untested, Ran: Untested}
}

// SetRow replaces the row of a release, or inserts it in the order of releases.
func (r *Rows) SetRow(row Row) {
	if i := r.indexOf(row.Release); i >= 0 {
		(*r)[i] = row
		return
	}
	*r = append(*r, row)
	slices.SortStableFunc(*r, func(a, b Row) int { return slices.Compare(versionNumbers(a.Release), versionNumbers(b.Release)) })
}

// versionNumbers puts v5.8.15 after v5.8.9.
func versionNumbers(release string) []int {
	n := make([]int, 3)
	_, _ = fmt.Sscanf(release, "v%d.%d.%d", &n[0], &n[1], &n[2]) // a part that is no number stays 0
	return n
}

func (r Rows) indexOf(release string) int {
	return slices.IndexFunc(r, func(row Row) bool { return row.Release == release })
}

const (
	intro = `# In which Tyk releases the plugin works

` + "`make compat`" + ` writes this table; people write the remarks below it. Each cell has the date of the attempt, the commit of this
repository and the version of Go. *failed* or *refused*: the attempt failed; *+changes*: files had been changed since that commit.

- **built**: ` + "`make plugin TYK_SRC=DIR`" + ` built the plugin against that release's own source, with the module versions of its go.mod.
- **loaded**: a gateway built from the same source with the same Go found all hooks in it (` + "`tyk plugin load`" + `).
- **ran**: the scenarios of ` + "`e2e/scenarios`" + ` passed in that gateway, on the local mesh. From v5.13 on, calls of MCP tools too (` + "`TestMCP`" + ` of
  ` + "`e2e/gateway`" + `).
- **official image**: the same in Tyk's own ` + "`tykio/tyk-gateway`" + ` image. No run so far had one.

`
	head          = "| Tyk release | built | loaded | ran | official image |\n| --- | --- | --- | --- | --- |\n"
	remarksHeader = "## Remarks\n"
)

// FormatPage is the whole page.
func FormatPage(rows Rows, remarks string) string {
	var b strings.Builder
	b.WriteString(intro + head)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Release, r.Built, r.Loaded, r.Ran, Untested)
	}
	return b.String() + "\n" + remarksHeader + remarks
}

// ReadPage gives the rows of a page and the text below "## Remarks"; a file that does not exist has neither.
// It rejects a page with a row that it would lose.
func ReadPage(file string) (rows Rows, remarks string, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	above, remarks, found := strings.Cut(string(data), remarksHeader)
	if !found {
		return nil, "", fmt.Errorf("%s: no %q: its content would be lost", file, strings.TrimSpace(remarksHeader))
	}
	for number, line := range strings.Split(above, "\n") {
		if !strings.HasPrefix(line, "| v") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "| "), " | ")
		if len(cells) != 5 || cells[4] != Untested {
			return nil, "", fmt.Errorf("%s:%d: not a row that this program wrote: %s", file, number+1, line)
		}
		rows = append(rows, Row{cells[0], cells[1], cells[2], cells[3]})
	}
	return rows, remarks, nil
}
