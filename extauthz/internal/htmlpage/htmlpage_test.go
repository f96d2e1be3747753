package htmlpage_test

import (
	"bytes"
	"image"
	_ "image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/htmlpage"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/browser"
)

// hostile is a text that is markup and turns the text around, if a page does not escape it; shown is what a page shows of it.
const (
	hostile = markup + "\u202e"
	shown   = markup + `\u202e`
	markup  = `</script><img src=x onerror="document.title='run'"><script>document.title='run'</script>`
)

var (
	table = htmlpage.Table{
		Caption: "Callers",
		Columns: []htmlpage.Column{{Name: "caller"}, {Name: "requests", Number: true}, {Name: "answer"}},
		Rows: []htmlpage.Row{
			{ID: "first", Cells: []htmlpage.Cell{{Text: "shop/orders"}, {Text: "7"}, {Text: "allow", Verdict: htmlpage.Good}},
				Details: []htmlpage.Detail{{Name: "rule", Value: "read-own"}, {Name: "path", Value: hostile}}},
			{Cells: []htmlpage.Cell{{Text: hostile, Link: "#first"}, {Text: "1"}, {Text: "deny", Verdict: htmlpage.Bad}}},
			{Cells: []htmlpage.Cell{{Text: "shop/web"}, {Text: "2"}, {Text: "shadow", Verdict: htmlpage.Warning}}},
		},
	}
	design = htmlpage.Compile(htmlpage.Design{
		Body:   `<p>{{shout "three rows"}}</p>{{template "table" .Table}}<p class="note">end</p>`,
		Style:  "main { --own: 7 }",
		Script: "document.documentElement.dataset.script = 'ran'",
		Funcs:  map[string]any{"shout": strings.ToUpper},
	})
)

func write(t *testing.T, page *htmlpage.Page, title string, data any) (file string) {
	t.Helper()
	var out bytes.Buffer
	if err := page.Write(&out, title, data); err != nil {
		t.Fatal(err)
	}
	for _, reference := range []string{"http:", "https:", "url(", "@import"} {
		if strings.Contains(out.String(), reference) {
			t.Errorf("the page has %q: it is not self-contained", reference)
		}
	}
	file = filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// The whole page works in a browser: its policy lets its own style and script run and nothing of the
// data, details open by keyboard, and every text can be read in both schemes.
func TestPage(t *testing.T) {
	tab := browser.Open(t, write(t, design, "Report of "+hostile, map[string]any{"Table": table}))
	for expression, want := range map[string]string{
		"document.title": "Report of " + shown,
		"document.documentElement.dataset.script":                                      "ran",
		"getComputedStyle(document.querySelector('main')).getPropertyValue('--own')":   "7",
		"document.querySelector('p').textContent":                                      "THREE ROWS",
		"String(document.querySelectorAll('img, script').length)":                      "1",
		"[...document.querySelectorAll('.sign')].map(sign => sign.textContent).join()": "✓,✗,!",
		"document.querySelectorAll('tr')[2].querySelector('td').textContent.trim()":    shown,
		"document.querySelectorAll('tr')[2].querySelector('a').hash":                   "#first",
		"String(document.querySelector('details').open)":                               "false",
	} {
		if got := tab.Text(expression); got != want {
			t.Errorf("%s = %q, want %q", expression, got, want)
		}
	}

	// The first Tab reaches the region of the table, the second its first row.
	tab.Press(browser.TabKey)
	tab.Press(browser.TabKey)
	if got := tab.Text("document.activeElement.tagName + getComputedStyle(document.activeElement).outlineStyle"); got != "SUMMARYsolid" {
		t.Errorf("after two Tabs the focus is at %s", got)
	}
	tab.Press(browser.Enter)
	if got := tab.Text("document.querySelector('details[open] dd').textContent"); got != "read-own" {
		t.Errorf("Enter opened %q", got)
	}

	var papers []string
	for _, scheme := range []browser.Scheme{browser.Light, browser.Dark} {
		tab.Prefer(scheme)
		papers = append(papers, tab.Text("getComputedStyle(document.body).backgroundColor"))
		for _, selector := range []string{"h1", "td", "th", "dt", "dd", "a", ".note", "caption", ".good", ".bad", ".warning"} {
			if ratio := tab.Contrast(selector); ratio < 4.5 {
				t.Errorf("%s: contrast of %s is %.1f, want 4.5 (WCAG 2 AA)", scheme, selector, ratio)
			}
		}
		tab.KeepScreenshot("htmlpage-" + string(scheme) + ".png")
	}
	if papers[0] == papers[1] {
		t.Errorf("both schemes have the paper %s", papers[0])
	}
}

// A phone shows the page without scrolling sideways: only tables scroll.
func TestNarrow(t *testing.T) {
	tab := browser.Open(t, write(t, design, strings.Repeat("long", 60), map[string]any{"Table": table}))
	tab.Resize(360, 640)
	if width := tab.Number("document.documentElement.scrollWidth"); width != 360 {
		t.Errorf("the page is %v pixels wide, want 360", width)
	}
}

func TestScreenshotIsPNG(t *testing.T) {
	tab := browser.Open(t, write(t, design, "Report", map[string]any{"Table": table}))
	file, err := os.Open(tab.KeepScreenshot("htmlpage.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if config, format, err := image.DecodeConfig(file); err != nil || format != "png" || config.Width != 1200 {
		t.Errorf("%s of %d pixels, %v; want png of 1200", format, config.Width, err)
	}
}

// A page without a script allows none, and a table without rows says so.
func TestEmpty(t *testing.T) {
	page := htmlpage.Compile(htmlpage.Design{Body: `{{template "table" .}}`})
	var out bytes.Buffer
	if err := page.Write(&out, "Empty", htmlpage.Table{Caption: "Callers", Empty: "No record has a caller."}); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, `<p class="note">No record has a caller.</p>`) || strings.Contains(text, "<table") || strings.Contains(text, "script") {
		t.Errorf("page: %s", text)
	}
	if !strings.Contains(text, `content="default-src &#39;none&#39;; style-src &#39;sha256-`) {
		t.Errorf("no policy: %s", text)
	}
}

// A template that fails writes nothing.
func TestFailure(t *testing.T) {
	var out bytes.Buffer
	err := htmlpage.Compile(htmlpage.Design{Body: `{{index .rows 3}}`}).Write(&out, "Report", map[string]any{"rows": []int{1}})
	if err == nil || out.Len() != 0 {
		t.Errorf("error %v, %d bytes written", err, out.Len())
	}
}
