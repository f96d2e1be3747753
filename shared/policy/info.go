package policy

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// DocumentInfo describes a loaded document without its rules.
type DocumentInfo struct {
	Name      string `json:"name"`
	Folder    string `json:"folder,omitempty"`
	File      string `json:"file"`
	Mode      Mode   `json:"mode"`
	Identity  string `json:"identity"`            // required or optional
	OnOutage  string `json:"onOutage"`            // deny or allow
	Guardrail bool   `json:"guardrail,omitempty"` // by its folder
}

// RuleInfo names a loaded rule, or public entry.
type RuleInfo struct {
	Policy string `json:"policy"`
	Folder string `json:"folder,omitempty"` // of Policy
	Rule   string `json:"rule"`
	Effect string `json:"effect"` // allow, deny or public
	Mode   Mode   `json:"mode"`
	File   string `json:"file"`
	Line   int    `json:"line"`
}

// QualifiedName is NAME, or FOLDER/NAME if another folder has a document of the same
// name.
func (s *Set) QualifiedName(folder, name string) string {
	if s.shared[name] {
		return folder + "/" + name
	}
	return name
}

// Folders lists the names of the folders that have documents, sorted.
func (s *Set) Folders() []string {
	var all []string
	for _, d := range s.documents {
		all = append(all, d.spec.Folder)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Documents lists the loaded documents, by name.
func (s *Set) Documents() []DocumentInfo {
	all := make([]DocumentInfo, len(s.documents))
	for i, d := range s.documents {
		all[i] = d.Info()
	}
	return all
}

// Targeting lists the documents that target the workload, by name, also those in shadow
// mode.
func (s *Set) Targeting(w identity.Workload) []DocumentInfo {
	var all []DocumentInfo
	for _, d := range s.documents {
		if len(d.targetsOf(w)) > 0 {
			all = append(all, d.Info())
		}
	}
	return all
}

// Targets lists the targets of all documents, each once, sorted by their text.
func (s *Set) Targets() []identity.Pattern {
	all := make([]identity.Pattern, 0, len(s.targets))
	for target := range s.targets {
		all = append(all, target)
	}
	slices.SortFunc(all, func(a, b identity.Pattern) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// TargetInfo names the documents that have a target, by name, also those in shadow mode. A workload can have documents of several targets.
type TargetInfo struct {
	Target    string         `json:"target"`
	Documents []DocumentInfo `json:"documents"`
}

// DescribeTargets lists the targets of all documents, as [Set.Targets].
func (s *Set) DescribeTargets() []TargetInfo {
	all := []TargetInfo{}
	for _, target := range s.Targets() {
		info := TargetInfo{Target: target.String()}
		for _, d := range s.documents {
			if slices.Contains(d.spec.Targets, target) {
				info.Documents = append(info.Documents, d.Info())
			}
		}
		all = append(all, info)
	}
	return all
}

// Callers lists the callers that rules name in from.workloads, each once, sorted by their text.
func (s *Set) Callers() []identity.Pattern {
	var all []identity.Pattern
	for _, d := range s.documents {
		for _, r := range d.rules {
			all = append(all, r.keys.callers...)
		}
	}
	slices.SortFunc(all, func(a, b identity.Pattern) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// Rules lists all rules and public entries, by document and name. Policy and Rule
// of a decision name one of them, so that a caller can find the rules that decide
// nothing in a series of requests.
func (s *Set) Rules() []RuleInfo {
	var all []RuleInfo
	for _, d := range s.documents {
		for _, r := range d.rules {
			all = append(all, r.Info())
		}
	}
	return all
}

// Inputs gives, under dotted names, the attributes that the loaded documents read, so
// that a recorded decision can be made again. It leaves out absent attributes, and those
// that have a field of their own in an audit record. Claims that no document reads are
// never in it.
func (s *Set) Inputs(r Request, claims *identity.Claims) map[string]any {
	return inputsOf(s.reads, &r, claims)
}

// Reads lists the names that Inputs can have, sorted. A name that is listed and not in a
// record was absent from the request, unless it was masked. Documents that read more
// cannot make that decision again.
func (s *Set) Reads() []string { return inputNames(s.reads) }

// HeaderNames lists the headers that the documents read, sorted. A decision looks at no others. Do not change the list.
func (s *Set) HeaderNames() []string { return s.headerNames }

// SidecarHeaders lists the headers that the documents for workloads with a sidecar read, sorted. Documents
// that target only Services, gateways and the edge are left out: a waypoint, a gateway or Tyk decides by them.
func (s *Set) SidecarHeaders() []string {
	var all []string
	for _, d := range s.documents {
		if !slices.ContainsFunc(d.spec.Targets, IsBehindSidecar) {
			continue
		}
		for _, a := range d.reads {
			if name, isHeader := strings.CutPrefix(a.name, headerPrefix); isHeader {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// IsBehindSidecar reports whether the pattern can match a workload, and not only a Service, a gateway
// or an API at the edge.
func IsBehindSidecar(target identity.Pattern) bool {
	callee := target.Literal()
	return !callee.IsEdge() && !callee.IsService() && !callee.IsGateway()
}

// Info describes the document.
func (d *Document) Info() DocumentInfo {
	return DocumentInfo{
		Name: d.spec.Name, Folder: d.spec.Folder, File: d.spec.File, Mode: modeOf(d.spec.Shadow), Guardrail: d.spec.Guardrail,
		Identity: chooseText(d.spec.IdentityOptional, "optional", "required"), OnOutage: chooseText(d.spec.AllowOnOutage, "allow", "deny"),
	}
}

// targetsOf are the document's targets that match a workload.
func (d *Document) targetsOf(w identity.Workload) []string {
	var targets []string
	for _, p := range d.spec.Targets {
		if p.Match(w) {
			targets = append(targets, p.String())
		}
	}
	return targets
}

// Info describes the rule.
func (r *Rule) Info() RuleInfo {
	return RuleInfo{
		Policy: r.document.spec.Name, Folder: r.document.spec.Folder, Rule: r.spec.Name,
		Effect: r.spec.Effect.String(), Mode: modeOf(r.spec.Shadow), File: r.document.spec.File, Line: r.spec.Line,
	}
}

// String is deny, allow or public.
func (e Effect) String() string {
	return [...]string{Deny: "deny", Allow: "allow", Public: "public"}[e]
}

func modeOf(shadow bool) Mode {
	if shadow {
		return Shadow
	}
	return Enforce
}

func chooseText(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
