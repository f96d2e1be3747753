// Package ranking counts callers, denials and rules.
package ranking

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/search"
)

// maxNames bounds each table while it is counted. Names that come later are counted together.
const maxNames = 100_000

// others is the name of what a full table counts together.
const others = "(others)"

// Row is a name with its decisions.
type Row struct {
	Name      string `json:"name"`
	Decisions int    `json:"decisions"` // a request has one at the edge and one at each hop
	Denied    int    `json:"denied"`
}

// Report is the answer of `meshpass trace --top`.
type Report struct {
	Decisions int         `json:"decisions"`
	Denied    int         `json:"denied"`
	Callers   []Row       `json:"callers"` // workloads; at the edge: the API
	Users     []Row       `json:"users"`
	Denials   []Row       `json:"denials"` // reason at callee
	Rules     []Row       `json:"rules"`
	Read      search.Read `json:"read"`
}

// Run counts all decisions that the query asks for, and keeps the first rows of each table. A decision
// that was read twice is counted once, if the two are not far apart.
func Run(ctx context.Context, sources []search.Source, query search.Query, top int, progress func(read int64)) (Report, error) {
	c := counter{callers: table{}, users: table{}, denials: table{}, rules: table{}}
	read, err := search.ForEach(ctx, sources, query, progress, c.addRecord)
	if err != nil {
		return Report{}, err
	}
	read.Repeated = c.repeated
	return Report{
		Decisions: c.decisions, Denied: c.denied, Read: read,
		Callers: c.callers.firstRows(top, byDecisions), Users: c.users.firstRows(top, byDecisions), Denials: c.denials.firstRows(top, byDenied), Rules: c.rules.firstRows(top, byDecisions),
	}, nil
}

type table map[string]*Row

type counter struct {
	callers, users, denials, rules table
	decisions, denied, repeated    int
	recent                         recentIDs
}

func (c *counter) addRecord(r record.Record) {
	if r.ID != "" && !c.recent.isNew(r.ID+" "+r.Decision) {
		c.repeated++
		return
	}
	denied := r.Decision != "allow"
	c.decisions++
	if denied {
		c.denied++
		c.denials.countName(r.Reason+" at "+orUnknown(r.Callee), true)
	}
	caller := r.Caller
	if r.Kind != record.Check {
		caller = r.Callee
	}
	c.callers.countName(orUnknown(caller), denied)
	c.users.countName(orUnknown(r.Sub), denied)
	if name := r.RuleName(); name != "" {
		c.rules.countName(name, denied)
	}
}

func orUnknown(name string) string {
	if name == "" {
		return "(unknown)"
	}
	return name
}

func (t table) countName(name string, denied bool) {
	row := t[name]
	if row == nil {
		if len(t) >= maxNames {
			name = others
			row = t[others]
		}
		if row == nil {
			row = &Row{Name: strings.Clone(record.RedactName(name))}
			t[name] = row
		}
	}
	row.Decisions++
	if denied {
		row.Denied++
	}
}

func byDecisions(r *Row) int { return r.Decisions }
func byDenied(r *Row) int    { return r.Denied }

func (t table) firstRows(n int, by func(*Row) int) []Row {
	rows := []Row{}
	for _, row := range t {
		rows = append(rows, *row)
	}
	slices.SortFunc(rows, func(a, b Row) int { return cmp.Or(by(&b)-by(&a), strings.Compare(a.Name, b.Name)) })
	return rows[:min(n, len(rows))]
}

// recentIDs remembers between one and two generations of ids.
type recentIDs struct{ young, old map[string]struct{} }

// idsOfGeneration bounds the memory for ids, at about 100 bytes each.
const idsOfGeneration = 200_000

func (i *recentIDs) isNew(id string) bool {
	_, young := i.young[id]
	_, old := i.old[id]
	if young || old {
		return false
	}
	if i.young == nil || len(i.young) >= idsOfGeneration {
		i.young, i.old = make(map[string]struct{}, idsOfGeneration), i.young
	}
	i.young[id] = struct{}{}
	return true
}

// listTables returns the tables of a report, with their titles.
func (r Report) listTables() []titled {
	return []titled{{"callers", r.Callers}, {"users", r.Users}, {"denials", r.Denials}, {"rules", r.Rules}}
}

type titled struct {
	title string
	rows  []Row
}

// Print writes the report as text.
func (r Report) Print(to io.Writer) error {
	text := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(text, "decisions %d, denied %d\n\n", r.Decisions, r.Denied)
	for _, t := range r.listTables() {
		printer.Fprintf(text, "decisions\tdenied\t%s\n", t.title)
		for _, row := range t.rows {
			printer.Fprintf(text, "%d\t%d\t%s\n", row.Decisions, row.Denied, row.Name)
		}
		fmt.Fprintln(text)
	}
	if err := text.Flush(); err != nil {
		return err
	}
	for _, line := range r.Read.Describe() {
		if _, err := printer.Fprintf(to, "%s\n", line); err != nil {
			return err
		}
	}
	return nil
}

var page = htmlpage.Compile(htmlpage.Design{Body: `<p>{{.Summary}}</p>
{{range .Tables}}{{template "table" .}}{{end}}
{{range .Read}}<p class="note">{{.}}</p>{{end}}`})

// WritePage writes the report as one HTML page.
func (r Report) WritePage(to io.Writer) error {
	var tables []htmlpage.Table
	for _, t := range r.listTables() {
		table := htmlpage.Table{
			Caption: strings.ToUpper(t.title[:1]) + t.title[1:], Empty: "No " + t.title + ".",
			Columns: []htmlpage.Column{{Name: t.title}, {Name: "decisions", Number: true}, {Name: "denied", Number: true}},
		}
		for _, row := range t.rows {
			verdict := htmlpage.Neutral
			if row.Denied > 0 {
				verdict = htmlpage.Bad
			}
			table.Rows = append(table.Rows, htmlpage.Row{Cells: []htmlpage.Cell{{Text: row.Name}, {Text: fmt.Sprint(row.Decisions)}, {Text: fmt.Sprint(row.Denied), Verdict: verdict}}})
		}
		tables = append(tables, table)
	}
	return page.Write(to, "Callers, denials and rules", map[string]any{
		"Summary": fmt.Sprintf("%d decisions, %d denied.", r.Decisions, r.Denied), "Tables": tables, "Read": r.Read.Describe(),
	})
}
