package replay

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// Answer is a decision as a record holds it.
type Answer struct {
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"` // empty: one of several reasons why the token cannot be used
	Policy   string `json:"policy,omitempty"`
	Folder   string `json:"folder,omitempty"` // of Policy; empty in records of versions without folders
	Rule     string `json:"rule,omitempty"`

	shared bool // another folder has a document of the name Policy, so texts have the folder
}

func newAnswer(d decision.Decision) Answer {
	return Answer{Decision: d.String(), Reason: string(d.Reason), Policy: d.Policy, Folder: d.Folder, Rule: d.Rule, shared: d.Shared}
}

func (a Answer) String() string {
	text := a.Decision + " " + a.Reason
	if a.Policy != "" {
		text += " " + a.ruleName()
	}
	return strings.TrimSpace(text)
}

func (a Answer) ruleName() string {
	if a.shared {
		return a.Folder + "/" + a.Policy + "/" + a.Rule
	}
	return a.Policy + "/" + a.Rule
}

// sameDecision reports whether decision and reason are the same, by any rule.
func (a Answer) sameDecision(b Answer) bool { return a.Decision == b.Decision && a.Reason == b.Reason }

// sameRule reports whether the decision, the reason and the rule are the same.
func (a Answer) sameRule(b Answer) bool {
	return a.sameDecision(b) && a.Policy == b.Policy && a.Rule == b.Rule && a.Folder == b.Folder
}

// matchesRecorded reports whether an answer of set is the recorded one. The folder is
// compared only if the set has a folder of the recorded name: records of versions before
// folders hold no folder, and on a command line a folder may have another name than in
// the configuration.
func (a Answer) matchesRecorded(recorded Answer, set *policy.Set) bool {
	sameFolder := recorded.Folder == a.Folder || !slices.Contains(set.Folders(), recorded.Folder)
	return a.sameDecision(recorded) && a.Policy == recorded.Policy && a.Rule == recorded.Rule && sameFolder
}

// isAmbiguousRequest reports an answer that the request alone decides, because it can be
// read in two ways. No document can give another answer to such a request.
func (a Answer) isAmbiguousRequest() bool {
	return slices.Contains([]decision.Reason{decision.AmbiguousPath, decision.AmbiguousMethod, decision.AmbiguousHost}, decision.Reason(a.Reason)) && a.Rule == ""
}
