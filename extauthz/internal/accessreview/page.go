package accessreview

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

var page = htmlpage.Compile(htmlpage.Design{
	Body: `<p>{{.Summary}}</p>
<nav aria-label="Parts of the review"><ul>{{range .Parts}}<li><a href="#{{.ID}}">{{.Table.Caption}}</a> ({{len .Table.Rows}})</li>{{end}}</ul></nav>
{{range .Parts}}<section id="{{.ID}}"><h2>{{.Table.Caption}}</h2>{{template "table" .Table}}</section>{{end}}
<p class="note">The records were not verified by this review: meshpass audit verify does that.</p>`,
	Style: "section caption { display: none } nav ul { columns: 2 16rem; padding-left: 1.2rem }",
})

// part is a section of the page.
type part struct {
	ID    string
	Table htmlpage.Table
}

// PrintHTML writes one page with a table for each part of the review. A rule shows its text when it is opened.
func (r Report) PrintHTML(to io.Writer) error {
	return page.Write(to, fmt.Sprintf("Access review, %s to %s", printer.FormatTime(r.Since), printer.FormatTime(r.Until)), map[string]any{
		"Summary": fmt.Sprintf("%d decisions; documents of generation %s", r.Records, r.Generation),
		"Parts": []part{
			{"missing", r.tableOfMissing()},
			{"could", r.tableOfRights()},
			{"did", newTableOfUses("Who did", "No allowed request is recorded.", r.Did)},
			{"overridden", newTableOfUses("Allowed only by an override", "No request was allowed only by an override.", r.Overridden)},
			{"overrides", r.tableOfOverrides()},
			{"denied", r.tableOfDenials()},
			{"generations", r.tableOfGenerations()},
		},
	})
}

func newTable(caption, empty string, columns ...string) htmlpage.Table {
	t := htmlpage.Table{Caption: caption, Empty: empty}
	for _, name := range columns {
		t.Columns = append(t.Columns, htmlpage.Column{Name: name, Number: name == "times" || name == "records"})
	}
	return t
}

// newRow makes a row of texts.
func newRow(texts ...string) (row htmlpage.Row) {
	for _, text := range texts {
		row.Cells = append(row.Cells, htmlpage.Cell{Text: text})
	}
	return row
}

func (r Report) tableOfMissing() htmlpage.Table {
	t := newTable("What the review does not show", "All decisions of the records are in this review.", "cause", "records")
	add := func(cause string, count uint64) {
		if count > 0 {
			row := newRow(cause, fmt.Sprint(count))
			row.Cells[0].Verdict = htmlpage.Warning
			t.Rows = append(t.Rows, row)
		}
	}
	for _, cause := range slices.Sorted(maps.Keys(r.Missing)) {
		add("not recorded: "+cause, r.Missing[cause])
	}
	add("decisions before or after that time", r.OtherTimes)
	add("lines that are no records, or parts of records", r.OtherLines)
	add("decided by rules that these documents do not have", r.OtherRules)
	add("decisions beyond the end of a list", r.NotListed)
	return t
}

func (r Report) tableOfRights() htmlpage.Table {
	t := newTable("Who could: rules of the active documents", "The documents have no rules.", "rule", "effect", "targets", "times", "last used")
	for _, c := range r.Could {
		last := "not used"
		if c.Last != nil {
			last = printer.FormatTime(*c.Last)
		}
		row := newRow(joinNames(c.Policy, c.Rule), describeEffect(c), c.Targets, fmt.Sprint(c.Used), last)
		if c.Used == 0 {
			row.Cells[4].Verdict = htmlpage.Warning
		}
		row.Details = []htmlpage.Detail{{Name: "rule", Value: c.Text}, {Name: "place", Value: fmt.Sprintf("%s:%d", c.File, c.Line)}}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func newTableOfUses(caption, empty string, uses []Use) htmlpage.Table {
	t := newTable(caption, empty, "subject", "callee", "caller", "reason", "rule", "times", "first", "last")
	for _, u := range uses {
		t.Rows = append(t.Rows, newRow(cmp.Or(u.Subject, "(no token)"), u.Callee, u.Caller, u.Reason, joinNames(u.Policy, u.Rule),
			fmt.Sprint(u.Count), printer.FormatTime(u.First), printer.FormatTime(u.Last)))
	}
	return t
}

func (r Report) tableOfOverrides() htmlpage.Table {
	t := newTable("Overrides that are active now", "No override is active, or no file of overrides was given.", "target", "until", "by", "reason")
	for _, o := range r.Overrides {
		row := newRow(o.Target, printer.FormatTime(o.Until), o.By, o.Reason)
		row.Cells[0].Verdict = htmlpage.Bad
		t.Rows = append(t.Rows, row)
	}
	return t
}

func (r Report) tableOfDenials() htmlpage.Table {
	t := newTable("Denied", "No denial is recorded.", "callee", "reason", "rule", "times")
	for _, d := range r.Denied {
		t.Rows = append(t.Rows, newRow(d.Callee, d.Reason, d.Rule, fmt.Sprint(d.Count)))
	}
	return t
}

func (r Report) tableOfGenerations() htmlpage.Table {
	t := newTable("Changes of policies: generations that decided", "No record has a generation.", "generation", "from", "to", "times")
	for _, g := range r.Generations {
		row := newRow(g.Generation, printer.FormatTime(g.First), printer.FormatTime(g.Last), fmt.Sprint(g.Count))
		if g.IsGiven {
			row.Cells[0].Verdict = htmlpage.Good
			row.Details = []htmlpage.Detail{{Name: "documents", Value: "those of this report"}}
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}
