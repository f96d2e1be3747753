package replay

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Answer is a decision as people read it in a record.
type Answer struct {
	Decision string `json:"decision"`
	Reason   string `json:"reason,omitempty"` // empty: that no decision can be made, for one reason or another
	Policy   string `json:"policy,omitempty"`
	Folder   string `json:"folder,omitempty"` // of Policy; empty in records that do not tell
	Rule     string `json:"rule,omitempty"`

	shared bool // the folder is needed to tell which Policy it is
}

func (a Answer) String() string {
	text := a.Decision + " " + a.Reason
	if a.Policy != "" {
		text += " " + a.rule()
	}
	return strings.TrimSpace(text)
}

func (a Answer) rule() string {
	if a.shared {
		return a.Folder + "/" + a.Policy + "/" + a.Rule
	}
	return a.Policy + "/" + a.Rule
}

// same ignores which rule it was.
func (a Answer) same(b Answer) bool { return a.Decision == b.Decision && a.Reason == b.Reason }

// isBy also compares which rule it was.
func (a Answer) isBy(b Answer) bool {
	return a.same(b) && a.Policy == b.Policy && a.Rule == b.Rule && a.Folder == b.Folder
}

// fits reports whether documents said what is recorded. The folder counts where they
// have one of the recorded name: a record of an earlier version names none, and on a
// command line a folder may have another name than in the configuration.
func (a Answer) fits(recorded Answer, set *policy.Set) bool {
	folder := recorded.Folder == a.Folder || !slices.Contains(set.Folders(), recorded.Folder)
	return a.same(recorded) && a.Policy == recorded.Policy && a.Rule == recorded.Rule && folder
}

// bearer is what may be so of a request's token.
type bearer struct {
	claims  *identity.Claims
	refusal decision.Reason
	outage  bool // the refusal is an outage, in which onOutage decides
	any     bool // refusal stands for others of its kind
}

func (b bearer) authenticate() policy.Authentication {
	return policy.Authentication{Claims: b.claims, Refusal: b.refusal, Outage: b.outage}
}

// To documents, all refusals of a kind are one; only the reason of the answer may
// be another.
var (
	noToken        = bearer{refusal: decision.TokenMissing}
	anyBad         = bearer{refusal: decision.TokenFormat, any: true}
	anyUnavailable = bearer{refusal: decision.KeysUnavailable, outage: true, any: true}
)

// bearers are the tokens with which the request may have come. A verified one
// stands in the record, as does the reason why one was refused; of no token, and of
// one that nothing looked at, nothing does. Nor does it tell of a reason that can be an
// outage whether it was one.
func (r Recorded) bearers() []bearer {
	switch {
	case r.Claims != nil:
		return []bearer{{claims: r.Claims}}
	case r.Reason == string(decision.Anonymous):
		return []bearer{noToken}
	}
	for _, text := range append([]string{r.Decision + " " + r.Reason}, r.Shadow...) {
		fields := strings.Fields(text)
		if reason := decision.Reason(fields[min(1, len(fields)-1)]); refusesToken(reason) {
			if reason.CanBeOutage() {
				return []bearer{{refusal: reason}, {refusal: reason, outage: true}}
			}
			return []bearer{{refusal: reason}}
		} else if reason == decision.OutageAllowed {
			return []bearer{anyUnavailable}
		}
	}
	return []bearer{noToken, anyBad, anyUnavailable}
}

// knowsToken reports whether the record tells of the token, but for whether its
// refusal was an outage.
func (r Recorded) knowsToken() bool {
	all := r.bearers()
	return !slices.ContainsFunc(all, func(b bearer) bool { return b.refusal != all[0].refusal })
}

func refusesToken(reason decision.Reason) bool {
	switch reason.Class() {
	case decision.Unauthenticated:
		return true
	case decision.Unavailable:
		return reason != decision.PolicyRefused
	}
	return reason == decision.NotEntitled
}

// answer is what documents say.
type answer struct {
	Answer
	token bearer
	asked bool // whether they needed to know of the token
}

func (r Recorded) decide(set *policy.Set, b bearer) answer {
	a := answer{token: b}
	d := set.DecideToken(r.Request, func() policy.Authentication {
		a.asked = true
		return b.authenticate()
	})
	a.Answer = Answer{Decision: d.String(), Reason: string(d.Reason), Policy: d.Policy, Folder: d.Folder, Rule: d.Rule, shared: d.Shared}
	if b.any && d.Reason == b.refusal {
		a.Reason = ""
	}
	if r.Kind != audit.KindCheck && (d.Allowed() || d.Reason == decision.Unguarded) {
		a.Answer = r.edgeAllows() // the edge can only deny
	}
	return a
}

// pastEdge reports that no document is asked at the edge.
func (r Recorded) pastEdge(set *policy.Set) bool {
	reason := set.DecideToken(r.Request, r.bearers()[0].authenticate).Reason
	return r.Kind != audit.KindCheck && (reason == decision.Unguarded || reason == decision.Unenforced)
}

func (r Recorded) edgeAllows() Answer {
	reason := decision.Issued
	if r.Claims == nil {
		reason = decision.Anonymous
	}
	return Answer{Decision: "allow", Reason: string(reason)}
}

// answers are what the documents that decided may have said: the recorded answer,
// and those that stand below it where something else was above the documents.
func (r Recorded) answers() []Answer {
	all := []Answer{r.recorded()}
	if reason := decision.Reason(r.Reason); reason != decision.Overridden && reason != decision.Issued && reason != decision.Anonymous {
		return all
	}
	for _, text := range r.Shadow {
		fields := append(strings.Fields(text), "", "", "")
		a := Answer{Decision: fields[0], Reason: fields[1]}
		a.nameRule(fields[2])
		all = append(all, a)
	}
	return all
}

func (r Recorded) recorded() Answer {
	if r.Kind != audit.KindCheck && r.Decision == "allow" {
		return Answer{Decision: r.Decision, Reason: r.Reason}
	}
	return Answer{Decision: r.Decision, Reason: r.Reason, Policy: r.Policy, Folder: r.Folder, Rule: r.Rule}
}

// said reports whether an answer is among those that are recorded.
func (r Recorded) said(a Answer, set *policy.Set) bool {
	return slices.ContainsFunc(r.answers(), func(recorded Answer) bool { return a.fits(recorded, set) })
}

// nameRule reads POLICY/RULE or FOLDER/POLICY/RULE. A file that cannot be used is
// named by its path, and has no rule.
func (a *Answer) nameRule(text string) {
	parts := strings.Split(text, "/")
	switch {
	case a.Reason == string(decision.PolicyRefused):
		a.Policy = strings.TrimSuffix(text, "/")
	case len(parts) == 3:
		a.Folder, a.Policy, a.Rule, a.shared = parts[0], parts[1], parts[2], true
	default:
		a.Policy, a.Rule, _ = strings.Cut(text, "/")
	}
}
