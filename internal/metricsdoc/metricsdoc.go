// Package metricsdoc compares the metrics of a program with the table of them in docs/operations.md.
//
// The first four columns of a row are made from what the program serves: name, type, labels
// and help. The last column is written by hand.
package metricsdoc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rows gives the start of each row, up to the column that is written by hand, from a scrape in
// Prometheus' text format. Every metric of it must have a sample, or its labels are not known.
func Rows(scrape string) []string {
	var rows []string
	help, kind := map[string]string{}, map[string]string{}
	labels := map[string][]string{}
	var names []string
	current := ""
	for _, line := range strings.Split(scrape, "\n") {
		words := strings.SplitN(line, " ", 4)
		switch {
		case strings.HasPrefix(line, "# HELP ") && len(words) == 4:
			current = words[2]
			names, help[current] = append(names, current), words[3]
		case strings.HasPrefix(line, "# TYPE ") && len(words) == 4:
			kind[words[2]] = words[3]
		case line != "" && current != "":
			for _, label := range labelForm.FindAllStringSubmatch(line, -1) {
				if name := label[1]; name != "le" && !slices.Contains(labels[current], name) {
					labels[current] = append(labels[current], name)
				}
			}
		}
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "meshpass_") {
			continue
		}
		quoted := make([]string, 0, len(labels[name]))
		for _, label := range labels[name] {
			quoted = append(quoted, "`"+label+"`")
		}
		slices.Sort(quoted)
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |", name, kind[name], strings.Join(quoted, ", "), strings.ReplaceAll(help[name], "|", `\|`)))
	}
	return rows
}

var labelForm = regexp.MustCompile(`[{,]([a-z_]+)="(?:[^"\\]|\\.)*"`)

// Compare gives what to change in the table below a heading of the page, one change a line. It is
// empty if the table lists what the program serves.
func Compare(page, heading, scrape string) string {
	var changes []string
	written := map[string]string{} // rows by their name
	for _, line := range strings.Split(section(page, heading), "\n") {
		if name := rowName.FindStringSubmatch(line); name != nil {
			if written[name[1]] != "" {
				changes = append(changes, "remove the second row of "+name[1])
			}
			written[name[1]] = line
		}
	}
	for _, row := range Rows(scrape) {
		name := rowName.FindStringSubmatch(row)[1]
		switch line := written[name]; {
		case line == "":
			changes = append(changes, "add a row, and say more of it in the last column if there is more: "+row+" |")
		case !strings.HasPrefix(line, row):
			changes = append(changes, "begin the row with: "+row)
		}
		delete(written, name)
	}
	for name := range written {
		changes = append(changes, "remove the row of "+name+", which is not served")
	}
	slices.Sort(changes)
	return strings.Join(changes, "\n")
}

var rowName = regexp.MustCompile("^\\| `(meshpass_[a-z_]+)` \\|")

// section is the text below a heading, up to the next heading of any level.
func section(page, heading string) string {
	_, after, _ := strings.Cut(page, "\n"+heading+"\n")
	before, _, _ := strings.Cut(after, "\n#")
	return before
}
