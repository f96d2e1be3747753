package policy

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// DocumentInfo names a loaded document and what it says beside its rules.
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

// QualifiedName is NAME, and FOLDER/NAME where another folder has a document of that
// name too.
func (s *Set) QualifiedName(folder, name string) string {
	if s.shared[name] {
		return folder + "/" + name
	}
	return name
}

// Folders lists the names of the folders that have documents, sorted.
func (s *Set) Folders() []string {
	var all []string
	for _, c := range s.documents {
		all = append(all, c.folder)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Documents lists the loaded documents, by name.
func (s *Set) Documents() []DocumentInfo {
	all := make([]DocumentInfo, len(s.documents))
	for i, c := range s.documents {
		all[i] = c.info()
	}
	return all
}

// Targeting lists the documents that target the workload, by name, those in shadow
// mode too.
func (s *Set) Targeting(w identity.Workload) []DocumentInfo {
	var all []DocumentInfo
	for _, c := range s.documents {
		if len(c.targeting(w)) > 0 {
			all = append(all, c.info())
		}
	}
	return all
}

// Targets lists the targets of all documents, each once, sorted by their text.
func (s *Set) Targets() []identity.Pattern {
	all := make([]identity.Pattern, 0, len(s.guards))
	for target := range s.guards {
		all = append(all, target)
	}
	slices.SortFunc(all, func(a, b identity.Pattern) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// Callers lists the callers that rules name in from.workloads, each once, sorted by their text.
func (s *Set) Callers() []identity.Pattern {
	var all []identity.Pattern
	for _, c := range s.documents {
		for _, r := range c.rules {
			all = append(all, r.callers...)
		}
	}
	slices.SortFunc(all, func(a, b identity.Pattern) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// Rules lists all rules and public entries, by document and name. Policy and Rule
// of a decision name one of them, so that it can be said which rules decide
// nothing in a series of requests.
func (s *Set) Rules() []RuleInfo {
	var all []RuleInfo
	for _, c := range s.documents {
		for _, r := range c.rules {
			all = append(all, r.info())
		}
	}
	return all
}

func (c *compiled) info() DocumentInfo {
	return DocumentInfo{
		Name: c.name, Folder: c.folder, File: c.file, Mode: modeOf(c.shadow), Guardrail: c.guardrail,
		Identity: either(c.optional, "optional", "required"), OnOutage: either(c.outageAllow, "allow", "deny"),
	}
}

func (r *rule) info() RuleInfo {
	effect := [kinds]string{public: "public", earlyDeny: "deny", lateDeny: "deny", allow: "allow"}[r.kind]
	return RuleInfo{Policy: r.document.name, Folder: r.document.folder, Rule: r.name, Effect: effect, Mode: modeOf(r.shadow), File: r.document.file, Line: r.place.Line}
}

func modeOf(shadow bool) Mode {
	if shadow {
		return Shadow
	}
	return Enforce
}

func either(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
