// Package htmlpage writes reports as one self-contained HTML file: no network access, no cookies, a
// strict Content-Security-Policy, colours for light and dark screens, and usable by keyboard alone.
//
// A report has a body, which is an html/template, and may have its own style and script. The body
// uses the classes of page.css and the template "table", which draws a [Table]. The policy allows the style
// and the script of the page by their hashes, so that nothing else in the page runs: attributes such as
// style="" and onclick="" have no effect, and presentation attributes of SVG have.
package htmlpage

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

var (
	//go:embed page.html
	frame string
	//go:embed page.css
	style string
)

// Design is the constant part of a report.
type Design struct {
	Body   string           // html/template; its dot is the data of [Page.Write]
	Style  string           // CSS after that of page.css; may be empty
	Script string           // JavaScript at the end of the page; may be empty
	Funcs  template.FuncMap // functions of Body
}

// Page writes reports of one design. It may be used from many goroutines.
type Page struct {
	frame  *template.Template
	style  template.CSS
	script template.JS
	policy string
}

// Compile panics if the body is not a template: it is a constant of the program.
func Compile(d Design) *Page {
	t := template.Must(template.New("page").Parse(frame))
	template.Must(t.New("body").Funcs(d.Funcs).Parse(d.Body))
	p := &Page{frame: t, style: template.CSS(style + d.Style), script: template.JS(d.Script)} //nolint:gosec // constants of the program
	p.policy = "default-src 'none'; style-src " + hashSource(string(p.style))
	if d.Script != "" {
		p.policy += "; script-src " + hashSource(d.Script)
	}
	p.policy += "; base-uri 'none'; form-action 'none'"
	return p
}

// hashSource is the source expression of an inline element (CSP Level 3, 2.3.1).
func hashSource(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// Write writes the whole page, or nothing if the template fails with this data. Records have texts of clients: characters that are not
// visible, such as those that change the direction of text, are shown as \uXXXX.
func (p *Page) Write(to io.Writer, title string, data any) error {
	var page bytes.Buffer
	err := p.frame.Execute(&page, struct {
		Title  string
		Policy string
		Style  template.CSS
		Script template.JS
		Data   any
	}{title, p.policy, p.style, p.script, data})
	if err != nil {
		return err
	}
	return printer.Text(to, page.String())
}
