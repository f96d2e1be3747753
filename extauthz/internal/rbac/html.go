package rbac

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
)

var page = htmlpage.Compile(htmlpage.Design{Body: `<p>{{.Summary}}</p>
{{range .Tables}}{{template "table" .}}{{end}}`})

// PrintHTML writes one page: for each role a table, with the faults first.
func (r Report) PrintHTML(to io.Writer) error {
	var tables []htmlpage.Table
	var roles []string
	for _, row := range r.Rows {
		if !slices.Contains(roles, row.Who) {
			roles = append(roles, row.Who)
		}
	}
	slices.Sort(roles)
	for _, role := range roles {
		tables = append(tables, r.tableOf(role))
	}
	unchecked := htmlpage.Table{Caption: "Not checked", Columns: []htmlpage.Column{{Name: "place"}, {Name: "reason"}}, Empty: "Everything was compared."}
	for _, u := range r.Unchecked {
		unchecked.Rows = append(unchecked.Rows, htmlpage.Row{Cells: []htmlpage.Cell{{Text: u.Place.String()}, {Text: u.Reason, Verdict: htmlpage.Bad}}})
	}
	notes := htmlpage.Table{Caption: "Notes", Columns: []htmlpage.Column{{Name: "note"}}, Empty: "There are no notes."}
	for _, text := range r.Notes {
		notes.Rows = append(notes.Rows, htmlpage.Row{Cells: []htmlpage.Cell{{Text: text}}})
	}
	return page.Write(to, "Tyk policies and AccessPolicies", map[string]any{"Summary": r.summary(), "Tables": append(tables, unchecked, notes)})
}

func (r Report) summary() string {
	var counts []string
	for _, k := range kinds {
		counts = append(counts, fmt.Sprintf("%s: %d", k.Kind, r.Counts[k.Kind]))
	}
	return fmt.Sprintf("%s; faults: %d, not checked: %d", strings.Join(counts, ", "), r.Faults, len(r.Unchecked))
}

func (r Report) tableOf(role string) htmlpage.Table {
	t := htmlpage.Table{Caption: role, Columns: []htmlpage.Column{{Name: "API"}, {Name: "methods"}, {Name: "path"}, {Name: "result"}, {Name: "example"}}}
	for _, row := range r.Rows {
		if row.Who != role {
			continue
		}
		example := ""
		if row.Example != nil {
			example = row.Example.String()
		}
		details := []htmlpage.Detail{{Name: "means", Value: row.Kind.meaning()}}
		add := func(name, value string) {
			if value != "" {
				details = append(details, htmlpage.Detail{Name: name, Value: value})
			}
		}
		add("why", row.Reason)
		for _, condition := range row.Conditions {
			add("condition", condition)
		}
		add("place", row.Place.String())
		t.Rows = append(t.Rows, htmlpage.Row{
			Cells:   []htmlpage.Cell{{Text: row.API}, {Text: row.methodText()}, {Text: row.pathText() + row.aliasText()}, {Text: string(row.Kind) + row.acceptedText(), Verdict: row.htmlVerdict()}, {Text: example}},
			Details: details,
		})
	}
	return t
}

func (k Kind) meaning() string {
	for _, known := range kinds {
		if known.Kind == k {
			return known.Meaning
		}
	}
	return ""
}

func (row Row) htmlVerdict() htmlpage.Verdict {
	switch row.Kind {
	case Dead, Wider, Unreached, PartlyReached:
		if row.Accepted {
			return htmlpage.Warning
		}
		return htmlpage.Bad
	case ConditionalGrant, ReachedByOthers, Void:
		return htmlpage.Warning
	default:
		return htmlpage.Good
	}
}
