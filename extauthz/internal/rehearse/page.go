package rehearse

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
)

var (
	//go:embed page.html
	pageBody string
	//go:embed page.css
	pageStyle string
)

var page = htmlpage.Compile(htmlpage.Design{Body: pageBody, Style: pageStyle})

// WritePage writes the report as one HTML file without scripts.
func (r *Report) WritePage(to io.Writer) error {
	return page.Write(to, "Rehearsal "+filepath.Base(r.File), pageData{
		Report: r, Checks: r.checkTable(), Callers: r.callerTable(), Answers: r.answerPlots(), Layers: newLayerPlot(r.Rows),
		Replay: r.replayTable(), Replaced: changeTable("Addresses and files that were replaced by stand-ins", r.Changes.Replaced),
		NotRun: changeTable("Parts that did not run", r.Changes.NotRun), Left: changeTable("Left as it is", r.Changes.Left), Services: r.serviceTable(),
	})
}

type pageData struct {
	*Report
	Checks, Callers, Replaced, NotRun, Left, Services htmlpage.Table
	Replay                                            *htmlpage.Table
	Answers                                           []answerPlot
	Layers                                            layerPlot
}

func newColumns(names ...string) (all []htmlpage.Column) {
	for _, name := range names {
		text, isNumber := strings.CutPrefix(name, "#")
		all = append(all, htmlpage.Column{Name: text, Number: isNumber})
	}
	return all
}

func newCells(values ...any) (all []htmlpage.Cell) {
	for _, value := range values {
		if cell, ready := value.(htmlpage.Cell); ready {
			all = append(all, cell)
			continue
		}
		all = append(all, htmlpage.Cell{Text: fmt.Sprint(value)})
	}
	return all
}

func (r *Report) checkTable() htmlpage.Table {
	t := htmlpage.Table{Caption: "Expectations", Columns: newColumns("load", "expectation", "want", "got", "result"), Empty: "The file expects nothing."}
	add := func(name string, checks []Check) {
		for _, c := range checks {
			result := htmlpage.Cell{Text: "met", Verdict: htmlpage.Good}
			if !c.Met {
				result = htmlpage.Cell{Text: "missed", Verdict: htmlpage.Bad}
			}
			t.Rows = append(t.Rows, htmlpage.Row{Cells: newCells(name, c.What, c.Want, c.Got, result)})
		}
	}
	for _, l := range r.Loads {
		add(l.Name, l.Checks)
	}
	if r.Replay != nil {
		add("replay", r.Replay.Checks)
	}
	return t
}

func (r *Report) callerTable() htmlpage.Table {
	t := htmlpage.Table{Caption: "Answers by caller and API", Columns: newColumns("caller", "API", "#requests", "#200", "#401", "#403", "#429", "others", "#p50 ms", "#p99 ms")}
	for _, row := range r.Rows {
		line := htmlpage.Row{Cells: newCells(row.Caller, row.API, row.Requests)}
		for _, status := range statusColumns {
			line.Cells = append(line.Cells, newCells(row.Status[status])...)
		}
		line.Cells = append(line.Cells, newCells(describeOthers(row.Status), row.Latency.P50, row.Latency.P99)...)
		for _, d := range row.Denials {
			line.Details = append(line.Details, htmlpage.Detail{Name: fmt.Sprintf("denied %d", d.Count), Value: d.Denial.String()})
		}
		for _, l := range row.Limits {
			line.Details = append(line.Details, htmlpage.Detail{Name: fmt.Sprintf("limited %d (%d)", l.Count, l.Status), Value: fmt.Sprintf("from request %d on, at %v s: %s", l.From, l.Seconds, l.Limit.describeLimit())})
		}
		if row.Latency.Count > 0 {
			line.Details = append(line.Details, htmlpage.Detail{Name: "median, ms", Value: row.Latency.describeLayers()})
		}
		if row.Idle.Count > 0 {
			line.Details = append(line.Details, htmlpage.Detail{Name: "without load, ms", Value: row.Idle.describeLayers()})
		}
		t.Rows = append(t.Rows, line)
	}
	return t
}

func (r *Report) replayTable() *htmlpage.Table {
	if r.Replay == nil {
		return nil
	}
	t := &htmlpage.Table{Caption: "Answers that differ from the recorded ones", Columns: newColumns("caller", "request", "recorded", "now", "#requests"), Empty: "All answers are the recorded ones."}
	for _, c := range r.Replay.Changes {
		t.Rows = append(t.Rows, htmlpage.Row{Cells: newCells(c.Caller, c.Method+" "+c.Path, c.Was, htmlpage.Cell{Text: c.Now, Verdict: htmlpage.Warning}, c.Count)})
	}
	return t
}

// SkippedReasons are sentences about records that were not sent again.
func (r *ReplayResult) SkippedReasons() (all []string) {
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		all = append(all, fmt.Sprintf("%d requests: %s", r.Skipped[reason], reason))
	}
	for _, caller := range slices.Sorted(maps.Keys(r.Assumed)) {
		all = append(all, fmt.Sprintf("%s: %s", caller, r.Assumed[caller]))
	}
	return all
}

func changeTable(caption string, changes []localcopy.Change) htmlpage.Table {
	t := htmlpage.Table{Caption: caption, Columns: newColumns("file", "part", "was", "in the copy", "note"), Empty: caption + ": none."}
	for _, c := range changes {
		t.Rows = append(t.Rows, htmlpage.Row{Cells: newCells(c.File, c.Part, c.Was, c.Now, c.Note)})
	}
	return t
}

func (r *Report) serviceTable() htmlpage.Table {
	t := htmlpage.Table{Caption: "Stand-ins for services", Columns: newColumns("host", "workload"), Empty: "No definition names a host."}
	for _, s := range r.Services {
		account := s.Account
		switch {
		case account == "":
			account = "outside of the mesh: no authorizer is asked"
		case s.Assumed:
			account += ", assumed from the host"
		}
		t.Rows = append(t.Rows, htmlpage.Row{Cells: newCells(s.Host, account)})
	}
	return t
}
