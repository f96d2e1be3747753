package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// printer writes the tour as plain text, in colour only on a terminal.
type printer struct {
	out    io.Writer
	colour bool
}

func newPrinter(out *os.File) *printer {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &printer{out: out, colour: terminal && os.Getenv("NO_COLOR") == ""}
}

const (
	bold  = "\x1b[1m"
	faint = "\x1b[2m"
	red   = "\x1b[31m"
	green = "\x1b[32m"
	reset = "\x1b[0m"
)

func (p *printer) withStyle(style, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return style + text + reset
}

func (p *printer) printLine(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *printer) printOpening(istiod bool) {
	source := "the checked-in dump of istiod's output"
	if istiod {
		source = "a live istiod"
	}
	p.printLine("%s", p.withStyle(bold, "Meshpass: one identity from the Tyk edge to every Istio hop"))
	p.printLine("Starting the whole path on loopback. The Envoys get their configuration from %s.\n", source)
}

func (p *printer) printStarted(part string, took time.Duration) {
	p.printLine("  %-24s %5.1f s", part, took.Seconds())
}

// printScenario prints one case: its description, then each request with a row for each layer.
func (p *printer) printScenario(number int, s scenarios.Scenario, played []scenarios.Exchange) {
	p.printLine("\n%s", p.withStyle(bold, fmt.Sprintf("%2d  %s", number, s.Title)))
	for _, line := range wrapText(s.About, 92) {
		p.printLine("    %s", p.withStyle(faint, line))
	}
	for len(played) > 0 {
		first, again := played[0], countRepeats(played)
		p.printExchange(first, again)
		played = played[1+again:]
	}
}

// countRepeats counts the exchanges directly after the first one that repeat its request and ended as expected.
func countRepeats(played []scenarios.Exchange) int {
	again := 0
	for _, next := range played[1:] {
		if describeRequest(next.Request) != describeRequest(played[0].Request) || next.Expect.Status != played[0].Expect.Status || len(next.Problems) > 0 {
			break
		}
		again++
	}
	return again
}

func (p *printer) printExchange(e scenarios.Exchange, again int) {
	p.printLine("\n    %s", describeRequest(e.Request))
	for _, row := range rowsOf(e) {
		verdict := fmt.Sprintf("%-13s", row.outcome)
		if row.denied {
			verdict = p.withStyle(red, verdict)
		} else {
			verdict = p.withStyle(green, verdict)
		}
		p.printLine("      %-18s %s %s", row.layer, verdict, row.reason)
	}
	if again > 0 {
		p.printLine("      the same %d more times", again)
	}
	for _, problem := range e.Problems {
		p.printLine("      %s", p.withStyle(red, "NOT AS EXPECTED  "+problem))
	}
}

func (p *printer) printSummary(t tally) {
	outcome := p.withStyle(green, "every outcome as expected")
	if t.differing > 0 {
		outcome = p.withStyle(red, fmt.Sprintf("%d NOT AS EXPECTED", t.differing))
	}
	p.printLine("\n%d cases, %d requests in %.1f s: %s", t.cases, t.requests, time.Since(t.began).Seconds(), outcome)
}

func (p *printer) printLogDir(dir string) { p.printLine("\nThe logs are in %s", dir) }

func (p *printer) printParts(dir string, parts []part, keepDir bool) {
	p.printLine("\n%s\n\n  . %s/env", p.withStyle(bold, "Everything runs until Ctrl-C. In a second terminal, set the variables of the commands below:"), dir)
	for i, part := range parts {
		p.printLine("\n%s", p.withStyle(bold, fmt.Sprintf("%d. %s", i+1, part.title)))
		for _, c := range part.commands {
			p.printLine("\n  %s\n  %s", p.withStyle(faint, "# "+c.about), c.line)
		}
	}
	p.printLine("\nConfiguration, policies, audit records and logs: %s", dir)
	if keepDir {
		p.printLine("This folder stays after Ctrl-C.")
	} else {
		p.printLine("Ctrl-C removes this folder. KEEP_DIR=DIR uses the folder DIR, and keeps it.")
	}
	p.printLine("Next: docs/tutorial.md adds roles and more tenants.")
}

// wrapText breaks a text into lines of at most width bytes.
func wrapText(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	return append(lines, line)
}
