// Package initial is `meshpass policy init`: it writes a first document for a workload,
// and the cases that test it.
package initial

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/meshpass/meshpass/shared/identity"
)

// Options describe the document to write.
type Options struct {
	Dir     string
	Callee  string   // as in targets, without *
	Callers []string // workloads; empty: any caller that has a token
	Domains identity.TrustDomains
}

// Report names the files that were written.
type Report struct {
	Policy string   `json:"policy"` // the document's name
	Wrote  []string `json:"wrote"`  // the document, then its cases
	dir    string
}

// Print writes the report for people.
func (r Report) Print(to io.Writer) error {
	var err error
	for _, file := range r.Wrote {
		_, wrong := fmt.Fprintf(to, "wrote %s\n", file)
		err = errors.Join(err, wrong)
	}
	_, wrong := fmt.Fprintf(to, "next: adapt them to the workload, then run: meshpass policy test %s\n", r.dir)
	return errors.Join(err, wrong)
}

// ErrExists is the error of a file that exists already. Nothing was written.
var ErrExists = errors.New("already exists: nothing was written")

// WriteFiles creates the folder if it does not exist, and writes the document and its
// cases. On an error neither file is written.
func WriteFiles(o Options) (Report, error) {
	values, err := o.templateValues()
	if err != nil {
		return Report{}, err
	}
	r := Report{Policy: values.Name, dir: o.Dir}
	r.Wrote = []string{filepath.Join(o.Dir, values.Name+".yaml"), filepath.Join(o.Dir, values.Name+"_test.yaml")}
	for _, file := range r.Wrote {
		if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
			return Report{}, errors.Join(err, fmt.Errorf("%s %w", file, ErrExists))
		}
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return Report{}, err
	}
	for i, text := range []*template.Template{documentTemplate, casesTemplate} {
		if err := writeNew(r.Wrote[i], text, values); err != nil {
			if i > 0 {
				_ = os.Remove(r.Wrote[0]) // no document without its cases
			}
			return Report{}, err
		}
	}
	return r, nil
}

func writeNew(name string, text *template.Template, values templateValues) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s %w", name, ErrExists)
	}
	if err != nil {
		return err
	}
	return errors.Join(text.Execute(file, values), file.Close())
}

// templateValues are the values of the templates, as YAML scalars.
type templateValues struct {
	Name, Callee, Callers string
	Caller, OtherCaller   string // of the cases
	Scope                 string
}

func (o Options) templateValues() (templateValues, error) {
	if o.Callee == "" {
		return templateValues{}, errors.New("name the callee: --callee, such as ns/shop/sa/orders")
	}
	callee, err := o.Domains.ParseTarget(o.Callee)
	if err != nil {
		return templateValues{}, fmt.Errorf("--callee %w", err)
	}
	if callee.Literal() == "" {
		return templateValues{}, fmt.Errorf("--callee %q: want one workload, without *", o.Callee)
	}
	v := templateValues{Name: documentName(o.Callee), Callee: quoteScalar(o.Callee), Caller: "unknown", OtherCaller: "ns/default/sa/default"}
	v.Scope = v.Name + ".read"
	if callee.Literal().IsEdge() {
		v.Caller = "none"
		if len(o.Callers) > 0 {
			return templateValues{}, errors.New("--caller: at the edge no caller has a name: leave it out")
		}
	}
	var callers []string
	for _, text := range o.Callers {
		caller, err := o.Domains.ParsePattern(text)
		if err != nil {
			return templateValues{}, fmt.Errorf("--caller %w", err)
		}
		if caller.Literal() == "" {
			return templateValues{}, fmt.Errorf("--caller %q: want one workload, without *", text)
		}
		if text == v.OtherCaller {
			v.OtherCaller += "-2"
		}
		callers = append(callers, quoteScalar(text))
	}
	if len(callers) > 0 {
		v.Callers, v.Caller = strings.Join(callers, ", "), callers[0]
	}
	return v, nil
}

var notInNames = regexp.MustCompile(`[^a-z0-9]+`)

// documentName returns a name for the document: the last part of the callee, with the
// characters that names may have.
func documentName(callee string) string {
	last := callee[strings.LastIndexByte(callee, '/')+1:]
	name := strings.Trim(notInNames.ReplaceAllString(strings.ToLower(last), "-"), "-")
	if name == "" {
		return "policy"
	}
	return name[:min(len(name), 63)]
}

var plainScalar = regexp.MustCompile(`^[a-z][A-Za-z0-9/._-]*$`)

func quoteScalar(text string) string {
	if plainScalar.MatchString(text) {
		return text
	}
	return fmt.Sprintf("%q", text)
}
