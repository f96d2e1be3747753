// Package finding describes what `meshpass lint` finds: rules with stable codes, and findings at places of the input.
package finding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Severity is the weight of a finding.
type Severity string

// The severities. An Error lets requests pass that no one may send, or keeps requests from passing. A Warning depends on the rest of the installation.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// Proof is how it is known that a rule is right.
type Proof string

// Seen means that `make lint-proof` shows the behaviour on the real component; Read means that the source or the documentation of the
// component describes it.
const (
	Seen Proof = "seen"
	Read Proof = "read"
)

// Area is the system whose configuration has the fault.
type Area string

// The areas.
const (
	Istio     Area = "Istio"
	Workloads Area = "Workloads"
	Tyk       Area = "Tyk"
	Across    Area = "Across"
)

// Rule is a kind of finding.
type Rule struct {
	Code     string // scripts may rely on it
	Area     Area
	Severity Severity
	Summary  string // the fault, in one sentence
	Breaks   string // the consequence
	Fix      string // the change that removes it
}

// Registry collects the rules of an area, in the order of the documentation.
type Registry struct {
	Area  Area
	Rules []*Rule
}

// Define adds a rule.
func (r *Registry) Define(code string, severity Severity, summary, breaks, fix string) *Rule {
	rule := &Rule{Code: code, Area: r.Area, Severity: severity, Summary: summary, Breaks: breaks, Fix: fix}
	r.Rules = append(r.Rules, rule)
	return rule
}

// Finding is one fault at one place.
type Finding struct {
	Rule    *Rule
	Place   objects.Place
	Message string
}

// Key identifies a finding in a baseline. Lines are no part of it, because they move.
func (f Finding) Key() string {
	return strings.Join([]string{f.Rule.Code, f.Place.Object, f.Place.Key, f.Place.Path, f.Message}, "\x00")
}

// Report collects findings.
type Report struct {
	Findings []Finding
	seen     map[string]bool
}

// Add records a finding at a value. The same finding at the same place is recorded once.
func (r *Report) Add(rule *Rule, at *objects.Node, format string, args ...any) {
	f := Finding{Rule: rule, Place: at.Place(), Message: fmt.Sprintf(format, args...)}
	key := f.Key() + "\x00" + f.Place.String()
	if r.seen == nil {
		r.seen = map[string]bool{}
	}
	if r.seen[key] {
		return
	}
	r.seen[key] = true
	r.Findings = append(r.Findings, f)
}

// Sort orders findings by place and code.
func (r *Report) Sort() {
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.Place.Source, b.Place.Source), cmp.Compare(a.Place.Line, b.Place.Line), strings.Compare(a.Place.Object, b.Place.Object),
			strings.Compare(a.Place.Key, b.Place.Key), cmp.Compare(a.Place.KeyLine, b.Place.KeyLine), strings.Compare(a.Place.Path, b.Place.Path),
			strings.Compare(a.Rule.Code, b.Rule.Code), strings.Compare(a.Message, b.Message))
	})
}
