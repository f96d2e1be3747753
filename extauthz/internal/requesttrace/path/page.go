package path

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
)

var (
	//go:embed page.html
	pageBody string
	//go:embed page.css
	pageStyle string
)

// openTarget opens the details of a link's target, for browsers that do not do it by themselves.
const openTarget = `
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  const details = target && target.closest("details");
  if (details) details.open = true;
};
addEventListener("hashchange", reveal);
reveal();
`

var page = htmlpage.Compile(htmlpage.Design{Body: pageBody, Style: pageStyle, Script: openTarget})

// WritePage writes the report as one HTML page, which draws the ways.
func (r Report) WritePage(to io.Writer) error {
	title := "Requests"
	if len(r.Requests) == 1 && r.Requests[0].Txn != "" {
		title = "Request " + r.Requests[0].Txn
	}
	view := pageView{More: r.More, Read: r.Read.Describe()}
	for i, q := range r.Requests {
		view.Requests = append(view.Requests, newRequestView(i+1, q))
	}
	return page.Write(to, title, view)
}

type pageView struct {
	Requests []requestView
	More     bool
	Read     []string
}

type requestView struct {
	Number  int
	Title   string
	Verdict htmlpage.Verdict
	Facts   []htmlpage.Detail
	Drawing drawing
	Steps   []stepView
}

type stepView struct {
	ID      string
	Title   string
	Verdict htmlpage.Verdict
	Word    string // allow, deny or no decision
	Details []htmlpage.Detail
}

var verdicts = map[Verdict]htmlpage.Verdict{Allowed: htmlpage.Good, Denied: htmlpage.Bad, Undecided: htmlpage.Warning}

var verdictWords = map[Verdict]string{Allowed: "allowed", Denied: "denied", Undecided: "no decision"}

func newRequestView(number int, q *Request) requestView {
	view := requestView{Number: number, Title: q.describeVerdict(), Verdict: verdicts[q.Verdict], Drawing: drawSteps(number, q.Steps)}
	for _, f := range q.listFacts() {
		view.Facts = append(view.Facts, htmlpage.Detail{Name: f.name, Value: f.value})
	}
	visitSteps(q.Steps, func(s *Step) {
		view.Steps = append(view.Steps, stepView{
			ID: stepID(number, s), Title: s.Callee + "  " + s.requestLine(), Verdict: verdicts[s.Verdict()], Word: verdictWords[s.Verdict()], Details: s.listDetails(),
		})
	})
	return view
}

func stepID(request int, s *Step) string { return fmt.Sprintf("step-%d-%d", request, s.number) }

// listDetails returns everything that is known of a step.
func (s *Step) listDetails() (details []htmlpage.Detail) {
	add := func(name, value string) {
		if value != "" {
			details = append(details, htmlpage.Detail{Name: name, Value: value})
		}
	}
	if d := s.Decision; d != nil {
		add("decision", d.summarize())
		add("detail", d.Detail)
		add("folder", d.Folder)
		add("generation", d.Generation)
		add("inputs", d.listInputs())
		add("shadow", strings.Join(d.Shadow, "; "))
		add("decision id", d.ID)
		add("record", fmt.Sprintf("%s:%d", d.Source, d.Line))
	}
	add("caller", s.Caller)
	add("host", s.Host)
	add("began", "+"+formatDuration(s.OffsetUS))
	for _, a := range s.Answers {
		add("answer", a.summarize())
		add("upstream", a.Cluster)
		add("joined by", a.Joined)
		add("line", fmt.Sprintf("%s:%d", a.Source, a.Line))
	}
	return details
}

// The measures of the drawing, in CSS pixels.
const (
	boxWidth   = 300
	boxHeight  = 84
	columnGap  = 56
	rowGap     = 22
	margin     = 6
	mostLetter = 34 // of a line in a box
)

// drawing is the tree of a request: a column for each level, a row for each leaf.
type drawing struct {
	Width, Height int
	Boxes         []box
	Lines         []line
}

type box struct {
	X, Y, TextX      int
	Y1, Y2, Y3       int // base lines
	Link             string
	Verdict          htmlpage.Verdict
	Sign             string
	Callee, Request  string
	Answer, FullText string
}

type line struct {
	Path    string
	Verdict htmlpage.Verdict
}

func drawSteps(request int, steps []*Step) drawing {
	var d drawing
	row := 0
	for _, s := range steps {
		d.addStep(request, s, 0, &row)
	}
	d.Width += margin
	d.Height = row*(boxHeight+rowGap) - rowGap + 2*margin
	return d
}

// add draws a step and those below it, and returns the middle of its left side.
func (d *drawing) addStep(request int, s *Step, column int, row *int) (x, y int) {
	x = margin + column*(boxWidth+columnGap)
	top := margin + *row*(boxHeight+rowGap)
	y = top + boxHeight/2
	verdict := verdicts[s.Verdict()]
	answer := verdictWords[s.Verdict()]
	switch {
	case s.Decision != nil && s.Decision.RuleName != "":
		answer += " by " + s.Decision.RuleName
	case s.Verdict() != Undecided:
		answer += ": " + s.denialReason()
	}
	d.Boxes = append(d.Boxes, box{
		X: x, Y: top, TextX: x + 12, Y1: top + 24, Y2: top + 46, Y3: top + 68, Link: "#" + stepID(request, s), Verdict: verdict, Sign: verdict.Sign(),
		Callee: shortenMiddle(s.Callee), Request: shortenMiddle(s.requestLine()), Answer: shortenMiddle(answer),
		FullText: fmt.Sprintf("%s, %s, %s, after %s", s.Callee, s.requestLine(), answer, formatDuration(s.OffsetUS)),
	})
	d.Width = max(d.Width, x+boxWidth)
	if len(s.Steps) == 0 {
		*row++
	}
	for _, below := range s.Steps {
		toX, toY := d.addStep(request, below, column+1, row)
		from, middle := x+boxWidth, x+boxWidth+columnGap/2
		d.Lines = append(d.Lines, line{fmt.Sprintf("M%d %dC%d %d %d %d %d %d", from, y, middle, y, middle, toY, toX-16, toY), verdicts[below.Verdict()]})
	}
	return x, y
}

// shortenMiddle cuts the middle of a text: names differ at their ends.
func shortenMiddle(text string) string {
	letters := []rune(text)
	if utf8.RuneCountInString(text) <= mostLetter {
		return text
	}
	return string(letters[:mostLetter/2-1]) + "…" + string(letters[len(letters)-mostLetter/2:])
}
