package rehearse

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
)

// Print writes the report for people.
func (r *Report) Print(to io.Writer) error {
	printer.Fprintf(to, "%s: %d requests in %v s\n", r.File, r.Requests, r.Seconds)
	printer.Fprintf(to, "limiter: %s\n", r.Limiter)
	printer.Fprintf(to, "rehearsed: %s\n", r.Scope)
	if !r.Isolated {
		fmt.Fprintln(to, "network: addresses were replaced; the kernel did not prevent other connections (no network namespace)")
	}
	r.printRows(to)
	r.printReasons(to)
	if r.Replay != nil {
		r.Replay.printText(to)
	}
	r.printChecks(to)
	r.printChanges(to)
	if r.Missed > 0 {
		fmt.Fprintf(to, "\n%d of %d expectations were missed\n", r.Missed, len(r.listChecks()))
	} else if n := len(r.listChecks()); n > 0 {
		fmt.Fprintf(to, "\nall %d expectations were met\n", n)
	}
	return nil
}

// statusColumns are the statuses that every report shows.
var statusColumns = []string{"200", "401", "403", "429"}

func (r *Report) printRows(to io.Writer) {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\ncaller\tAPI\trequests\t200\t401\t403\t429\tothers\tp50 ms\tp99 ms")
	for _, row := range r.Rows {
		printer.Fprintf(table, "%s\t%s\t%d", row.Caller, row.API, row.Requests)
		for _, status := range statusColumns {
			fmt.Fprintf(table, "\t%d", row.Status[status])
		}
		printer.Fprintf(table, "\t%s\t%v\t%v\n", describeOthers(row.Status), row.Latency.P50, row.Latency.P99)
	}
	_ = table.Flush() // to a buffer
}

func describeOthers(status map[string]int) string {
	var others []string
	for _, name := range slices.Sorted(maps.Keys(status)) {
		if !slices.Contains(statusColumns, name) {
			others = append(others, fmt.Sprintf("%d × %s", status[name], name))
		}
	}
	if len(others) == 0 {
		return "–"
	}
	return strings.Join(others, ", ")
}

func (r *Report) printReasons(to io.Writer) {
	for _, row := range r.Rows {
		if len(row.Denials)+len(row.Limits)+row.Latency.Count == 0 {
			continue
		}
		printer.Fprintf(to, "\n%s, API %s\n", row.Caller, row.API)
		for _, d := range row.Denials {
			printer.Fprintf(to, "  denied %d: %s\n", d.Count, d.Denial)
		}
		for _, l := range row.Limits {
			printer.Fprintf(to, "  limited %d (%d) from request %d on, at %v s: %s\n", l.Count, l.Status, l.From, l.Seconds, l.Limit.describeLimit())
		}
		if row.Latency.Count > 0 {
			printer.Fprintf(to, "  median of %d answers of the service, ms: %s\n", row.Latency.Count, row.Latency.describeLayers())
			printer.Fprintf(to, "  %s\n", row.describeIdle())
		}
	}
}

func (l Limit) describeLimit() string {
	text := fmt.Sprintf("%s limit (%s)", l.Kind, l.Name)
	switch {
	case l.Quota > 0:
		text += fmt.Sprintf(", %v requests in a renewal period", l.Quota)
	case l.Rate > 0:
		text += fmt.Sprintf(", %v requests in %v s", l.Rate, l.Per)
	}
	if l.Shared != "" {
		text += ", counts " + l.Shared
	}
	return text
}

func (r *Row) describeIdle() string {
	if r.Idle.Count == 0 {
		return "without load: not measured, because the service answered no request that was alone"
	}
	return fmt.Sprintf("without load, median of %d, ms: %s", r.Idle.Count, r.Idle.describeLayers())
}

// layers are those of a latency, in the order of the way.
var layers = []string{LayerGateway, LayerEnvoy, LayerAuthorizer, LayerService}

func (l Latency) describeLayers() string {
	var parts []string
	for _, layer := range layers {
		parts = append(parts, fmt.Sprintf("%s %v", layer, l.Layers[layer]))
	}
	return strings.Join(parts, ", ")
}

func (r *Report) printChecks(to io.Writer) {
	for _, l := range r.Loads {
		printChecks(to, l.Name, l.Checks)
	}
	if r.Replay != nil {
		printChecks(to, "replay", r.Replay.Checks)
	}
}

func printChecks(to io.Writer, name string, checks []Check) {
	if len(checks) == 0 {
		return
	}
	printer.Fprintf(to, "\n%s\n", name)
	for _, c := range checks {
		sign := "met"
		if !c.Met {
			sign = "MISSED"
		}
		printer.Fprintf(to, "  %-6s %s: want %s, got %s\n", sign, c.What, c.Want, c.Got)
	}
}

func (r *ReplayResult) printText(to io.Writer) {
	fmt.Fprintf(to, "\nreplay: %d records, %d requests sent again: %d answers are the recorded ones, %d changed\n", r.Records, r.Sent, r.Same, r.Changed)
	for _, c := range r.Changes {
		printer.Fprintf(to, "  %d × %s %s %s: %s, recorded: %s\n", c.Count, c.Caller, c.Method, c.Path, c.Now, c.Was)
	}
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		printer.Fprintf(to, "  not sent: %d: %s\n", r.Skipped[reason], reason)
	}
	for _, caller := range slices.Sorted(maps.Keys(r.Assumed)) {
		printer.Fprintf(to, "  assumed of %s: %s\n", caller, r.Assumed[caller])
	}
	if r.OtherLines+r.Damaged > 0 || r.Missing > 0 {
		fmt.Fprintf(to, "  lines that are no audit records: %d; records that cannot be read: %d; records that are missing by their gaps: %d\n", r.OtherLines, r.Damaged, r.Missing)
	}
}

func (r *Report) printChanges(to io.Writer) {
	for _, part := range []struct {
		title string
		list  []localcopy.Change
	}{{"replaced by stand-ins", r.Changes.Replaced}, {"not run", r.Changes.NotRun}, {"left as it is", r.Changes.Left}} {
		if len(part.list) == 0 {
			continue
		}
		printer.Fprintf(to, "\n%s\n", part.title)
		for _, change := range part.list {
			printer.Fprintf(to, "  %s\n", change)
		}
	}
	fmt.Fprintln(to, "\nstand-ins for services")
	for _, s := range r.Services {
		account := s.Account
		switch {
		case account == "":
			account = "outside of the mesh"
		case s.Assumed:
			account += " (assumed from the host)"
		}
		printer.Fprintf(to, "  %s: %s\n", s.Host, account)
	}
}
