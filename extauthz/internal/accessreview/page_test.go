package accessreview

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/browser"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// example has something in each part; its subject is markup and turns the text around, if the page does not escape it.
var example = Report{
	Since: noon.AddDate(0, -3, 0), Until: noon, Generation: "9eb52295fd59", Records: 9, OtherLines: 2, Missing: map[string]uint64{"queue_full": 7, "suppressed": 0}, OtherRules: 1,
	Could: []Right{
		{Policy: "orders", Rule: "read-own", Effect: "allow", Mode: "enforce", File: "orders.yaml", Line: 8, Targets: "{workloads: [ns/shop/sa/orders]}", Text: "{name: read-own, effect: allow}", Used: 4, Last: &noon},
		{Policy: "orders", Rule: "admin", Effect: "allow", Mode: "shadow", File: "orders.yaml", Line: 12, Text: "{name: admin, effect: allow}"},
	},
	Did:         []Use{{Subject: hostile, Caller: "ns/edge/sa/tyk", Callee: "ns/shop/sa/orders", Policy: "orders", Rule: "read-own", Reason: "rule_allowed", Count: 4, First: noon.Add(-time.Hour), Last: noon}},
	Overridden:  []Use{{Callee: "ns/shop/sa/orders", Reason: "overridden", Count: 1, First: noon, Last: noon}},
	Overrides:   []Override{{Target: "ns/shop/sa/orders", Until: noon.Add(time.Hour), By: "dana", Reason: "incident 7"}},
	Denied:      []Denial{{Callee: "ns/shop/sa/orders", Reason: "no_rule", Count: 3}},
	Generations: []Generation{{Generation: "abc", First: noon, Last: noon, Count: 3}, {Generation: "9eb52295fd59", First: noon, Last: noon, Count: 6, IsGiven: true}},
}

const hostile = `</td><script>document.title='run'</script>` + "\u202e"

func writePage(t *testing.T, r Report) (file string) {
	t.Helper()
	var text strings.Builder
	if err := r.PrintHTML(&text); err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"http:", "https:", "url(", "@import", "<script"} {
		if strings.Contains(text.String(), reference) {
			t.Errorf("the page has %q: it is not self-contained", reference)
		}
	}
	file = filepath.Join(t.TempDir(), "review.html")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The page has each part of the review, is used by keyboard, and can be read on light and dark screens and on a phone.
func TestPage(t *testing.T) {
	tab := browser.Open(t, writePage(t, example))
	rows := func(part string) string {
		return "[...document.querySelectorAll('#" + part + " tbody tr')].map(row => [...row.cells].map(cell => cell.innerText.trim().replaceAll('\\n', ' ')).join('; ')).join(' | ')"
	}
	for expression, want := range map[string]string{
		"document.title": "Access review, 2026-03-01T12:00:00Z to 2026-06-01T12:00:00Z",
		"document.querySelector('p').textContent": "9 decisions; documents of generation 9eb52295fd59",
		"document.querySelector('nav').innerText.split('\\n').map(line => line.replace(/.*\\(/, '(')).join('')": "(3)(2)(1)(1)(1)(1)(2)",
		rows("missing"):     "! not recorded: queue_full; 7 | ! lines that are no records, or parts of records; 2 | ! decided by rules that these documents do not have; 1",
		rows("could"):       "orders/read-own; allow; {workloads: [ns/shop/sa/orders]}; 4; 2026-06-01T12:00:00Z | orders/admin; allow, shadow; ; 0; ! not used",
		rows("did"):         strings.Replace(hostile, "\u202e", `\u202e`, 1) + "; ns/shop/sa/orders; ns/edge/sa/tyk; rule_allowed; orders/read-own; 4; 2026-06-01T11:00:00Z; 2026-06-01T12:00:00Z",
		rows("overridden"):  "(no token); ns/shop/sa/orders; ; overridden; ; 1; 2026-06-01T12:00:00Z; 2026-06-01T12:00:00Z",
		rows("overrides"):   "✗ ns/shop/sa/orders; 2026-06-01T13:00:00Z; dana; incident 7",
		rows("denied"):      "ns/shop/sa/orders; no_rule; ; 3",
		rows("generations"): "abc; 2026-06-01T12:00:00Z; 2026-06-01T12:00:00Z; 3 | ✓ 9eb52295fd59; 2026-06-01T12:00:00Z; 2026-06-01T12:00:00Z; 6",
	} {
		if got := tab.Text(expression); got != want {
			t.Errorf("%s\n got %q\nwant %q", expression, got, want)
		}
	}

	// By keyboard: seven links, the region of the first table, the region of the rules, and the first rule.
	for range 10 {
		tab.Press(browser.TabKey)
	}
	tab.Press(browser.Enter)
	if got := tab.Text("document.querySelector('details[open] dl').innerText.split('\\n').join(' ')"); got != "rule {name: read-own, effect: allow} place orders.yaml:8" {
		t.Errorf("Enter opened %q", got)
	}

	for _, scheme := range []browser.Scheme{browser.Light, browser.Dark} {
		tab.Prefer(scheme)
		for _, selector := range []string{"h1", "h2", "nav a", "td", "th", "dt", "dd", ".note", ".good", ".bad", ".warning"} {
			if ratio := tab.Contrast(selector); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.1f, want 4.5 (WCAG 2 AA)", scheme, selector, ratio)
			}
		}
		tab.KeepScreenshot("access-review-" + string(scheme) + ".png")
	}
	tab.Resize(360, 640)
	if width := tab.Number("document.documentElement.scrollWidth"); width != 360 {
		t.Errorf("the page is %v pixels wide, want 360: only tables scroll", width)
	}
}

// A review without records says so in each part.
func TestEmptyPage(t *testing.T) {
	tab := browser.Open(t, writePage(t, Report{}))
	if got := tab.Text("[...document.querySelectorAll('section .note')].map(note => note.textContent).join(' ')"); got != "All decisions of the records are in this review. The documents have no rules. "+
		"No allowed request is recorded. No request was allowed only by an override. No override is active, or no file of overrides was given. No denial is recorded. No record has a generation." {
		t.Errorf("got %q", got)
	}
}
