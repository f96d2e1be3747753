// Package page reads and writes docs/compatibility.md: a table that a run renews row by row, and
// remarks that people write and a run leaves alone.
package page

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Untested is the cell of what nobody has tried.
const Untested = "untested"

// Row is a release and what was seen of it. A cell is Untested, or when, at which commit and
// with which Go; "failed" or "refused" stand before that where they are true.
type Row struct {
	Release            string
	Built, Loaded, Ran string
}

// Rows are in the order of releases.
type Rows []Row

// Of gives the release's row; one that is not there is untested.
func (r Rows) Of(release string) Row {
	if i := r.index(release); i >= 0 {
		return r[i]
	}
	return Row{Release: release, Built: Untested, Loaded: Untested, Ran: Untested}
}

// Set puts the row in the place of the release's former one, or where it belongs.
func (r *Rows) Set(row Row) {
	if i := r.index(row.Release); i >= 0 {
		(*r)[i] = row
		return
	}
	*r = append(*r, row)
	slices.SortStableFunc(*r, func(a, b Row) int { return slices.Compare(numbers(a.Release), numbers(b.Release)) })
}

// numbers puts v5.8.15 after v5.8.9.
func numbers(release string) []int {
	n := make([]int, 3)
	_, _ = fmt.Sscanf(release, "v%d.%d.%d", &n[0], &n[1], &n[2]) // what is no number stays 0
	return n
}

func (r Rows) index(release string) int {
	return slices.IndexFunc(r, func(row Row) bool { return row.Release == release })
}

const (
	intro = `# In which Tyk releases the plugin works

` + "`make compat`" + ` writes this table; what stands below it is written by hand. Each cell says when it was seen, at which commit of this
repository and with which Go. *failed* or *refused*: it was tried and did not; *+changes*: files had been changed since that commit.

- **built**: ` + "`make plugin TYK_SRC=DIR`" + ` built the plugin against that release's own source, with the module versions of its go.mod.
- **loaded**: a gateway built from the same source with the same Go found all hooks in it (` + "`tyk plugin load`" + `).
- **ran**: the scenarios of ` + "`e2e/scenarios`" + ` passed in that gateway, on the local mesh. From v5.13 on, calls of MCP tools too (` + "`TestMCP`" + ` of
  ` + "`e2e/gateway`" + `).
- **official image**: the same in Tyk's own ` + "`tykio/tyk-gateway`" + ` image. No run so far had one.

`
	head          = "| Tyk release | built | loaded | ran | official image |\n| --- | --- | --- | --- | --- |\n"
	remarksHeader = "## Remarks\n"
)

// Text is the whole page.
func Text(rows Rows, remarks string) string {
	var b strings.Builder
	b.WriteString(intro + head)
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.Release, r.Built, r.Loaded, r.Ran, Untested)
	}
	return b.String() + "\n" + remarksHeader + remarks
}

// Read gives the rows of a page and what stands below "## Remarks"; a file that is not there has
// neither. It refuses a row that it would lose.
func Read(file string) (rows Rows, remarks string, err error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	above, remarks, found := strings.Cut(string(data), remarksHeader)
	if !found {
		return nil, "", fmt.Errorf("%s: no %q: what it says would be lost", file, strings.TrimSpace(remarksHeader))
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
