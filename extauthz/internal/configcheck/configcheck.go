// Package configcheck is `meshpass config check`: it reports what the authorizer or the plugin would
// reject in a configuration and in the files that it names, by their own code. It
// prints for people, for programs and for GitHub.
package configcheck

import (
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/gateway/files"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// MaxFileBytes is more than either program reads.
const MaxFileBytes = app.MaxConfigBytes

// Severity is the weight of a finding.
type Severity string

// The severities. A configuration with an Error is rejected, and one with a Warning is used.
// NotChecked names what only a running program can show.
const (
	Error      Severity = "error"
	Warning    Severity = "warning"
	NotChecked Severity = "not_checked"
)

// Finding is one error or warning, or what was not checked.
type Finding struct {
	Severity Severity `json:"severity"`
	File     string   `json:"file"`
	Line     int      `json:"line,omitempty"` // from 1
	Column   int      `json:"column,omitempty"`
	Key      string   `json:"key,omitempty"` // of a configuration, such as trust[0].leeway
	Message  string   `json:"message"`
}

// FileReport is what was found in one configuration and in the files that it names.
type FileReport struct {
	File     string    `json:"file"`
	Kind     Kind      `json:"kind,omitempty"` // empty: it is not YAML, so that no program can read it
	Accepted bool      `json:"accepted"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`
}

// Report is the reports of all configurations.
type Report struct {
	Accepted bool         `json:"accepted"` // all of them
	Files    []FileReport `json:"files"`
}

// Options are the same for all files.
type Options struct {
	Strict bool          // rejected documents are errors
	Memory bytesize.Size // the memory limit of the garbage collector; 0: unknown
	Now    func() time.Time
}

// File is the content of a configuration.
type File struct {
	Name string
	Kind Kind // empty: it is not YAML
	Data []byte
}

// Run checks the configurations.
func Run(all []File, o Options) Report {
	report := Report{Accepted: true, Files: []FileReport{}}
	for _, file := range all {
		checked := checkFile(file, o)
		report.Accepted = report.Accepted && checked.Accepted
		report.Files = append(report.Files, checked)
	}
	return report
}

func checkFile(file File, o Options) FileReport {
	var found strictyaml.Findings
	if file.Kind == Plugin {
		found = files.CheckConfig(file.Name, file.Data, o.Strict, o.Now())
	} else {
		found = app.CheckConfig(file.Name, file.Data, app.CheckOptions{Strict: o.Strict, Memory: o.Memory, Now: o.Now})
	}
	report := FileReport{
		File: file.Name, Kind: file.Kind, Accepted: len(found.Problems) == 0,
		Errors: len(found.Problems), Warnings: len(found.Warnings), Findings: []Finding{},
	}
	report.addFindings(Error, found.Problems)
	report.addFindings(Warning, found.Warnings)
	report.addFindings(NotChecked, found.NotChecked)
	return report
}

func (r *FileReport) addFindings(severity Severity, all strictyaml.Problems) {
	for _, p := range all.InFile(r.File).Sorted() {
		r.Findings = append(r.Findings, Finding{
			Severity: severity, File: p.File, Line: p.Line, Column: p.Column, Key: p.Key, Message: printer.RedactTokens(p.Message),
		})
	}
}
