package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// printer writes the tour for people: plain text, in colour only on a terminal.
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

func (p *printer) style(style, text string) string {
	if !p.colour || text == "" {
		return text
	}
	return style + text + reset
}

func (p *printer) line(format string, args ...any) { fmt.Fprintf(p.out, format+"\n", args...) }

func (p *printer) opening(istiod bool) {
	source := "the checked-in dump of istiod's output"
	if istiod {
		source = "a live istiod"
	}
	p.line("%s", p.style(bold, "Meshpass: one identity from the Tyk edge to every Istio hop"))
	p.line("Starting the whole path on loopback; the Envoys take their configuration from %s.\n", source)
}

func (p *printer) started(part string, took time.Duration) {
	p.line("  %-24s %5.1f s", part, took.Seconds())
}

// scenario prints one case: its story, then each request with a row for each layer.
func (p *printer) scenario(number int, s scenarios.Scenario, played []scenarios.Exchange) {
	p.line("\n%s", p.style(bold, fmt.Sprintf("%2d  %s", number, s.Title)))
	for _, line := range wrap(s.About, 92) {
		p.line("    %s", p.style(faint, line))
	}
	for len(played) > 0 {
		first, again := played[0], repeats(played)
		p.exchange(first, again)
		played = played[1+again:]
	}
}

// repeats counts the exchanges right behind the first that asked the same and ended as expected.
func repeats(played []scenarios.Exchange) int {
	again := 0
	for _, next := range played[1:] {
		if sent(next.Request) != sent(played[0].Request) || next.Expect.Status != played[0].Expect.Status || len(next.Problems) > 0 {
			break
		}
		again++
	}
	return again
}

func (p *printer) exchange(e scenarios.Exchange, again int) {
	p.line("\n    %s", sent(e.Request))
	for _, row := range rows(e) {
		verdict := fmt.Sprintf("%-13s", row.verdict)
		if row.refused {
			verdict = p.style(red, verdict)
		} else {
			verdict = p.style(green, verdict)
		}
		p.line("      %-18s %s %s", row.layer, verdict, row.why)
	}
	if again > 0 {
		p.line("      and %d more times, the same", again)
	}
	for _, problem := range e.Problems {
		p.line("      %s", p.style(red, "NOT AS EXPECTED  "+problem))
	}
}

func (p *printer) summary(t tally) {
	outcome := p.style(green, "every outcome as expected")
	if t.differing > 0 {
		outcome = p.style(red, fmt.Sprintf("%d NOT AS EXPECTED", t.differing))
	}
	p.line("\n%d cases, %d requests in %.1f s: %s", t.cases, t.requests, time.Since(t.began).Seconds(), outcome)
}

func (p *printer) logs(dir string) { p.line("\nThe logs are in %s", dir) }

// command is something to type, and what it shows.
type command struct{ shows, line string }

func (p *printer) keep(dir string, commands []command) {
	p.line("\n%s", p.style(bold, "Everything runs until Ctrl-C. To try:"))
	for _, c := range commands {
		p.line("\n  %s\n%s", p.style(faint, "# "+c.shows), "  "+strings.ReplaceAll(c.line, "\n", "\n  "))
	}
	p.line("\nConfiguration and logs: %s", dir)
}

// wrap breaks a text into lines of at most width characters.
func wrap(text string, width int) []string {
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
