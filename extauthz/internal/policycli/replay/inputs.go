package replay

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// knownInputs are the attributes of a request and its token that are known from a record.
//
// An attribute that the record does not hold was absent from the request only if the
// documents that decided read it, and nothing kept it out of the record. In all other
// cases its value is unknown.
type knownInputs struct {
	record  Record
	exact   bool     // the old documents are those that decided
	oldRead []string // if exact: the attributes that they read
}

// newKnownInputs compares a record with the documents that may have decided it.
func newKnownInputs(r Record, old *policy.Set) knownInputs {
	k := knownInputs{record: r, exact: r.Audit.Generation == old.Generation()}
	if k.exact {
		k.oldRead = old.Reads()
	}
	return k
}

// subjectInput is the claim that the field sub of a record holds.
const subjectInput = "claims.sub"

// isMasked reports whether the record masks the value of an attribute.
func (k knownInputs) isMasked(name string) bool {
	return !k.isKnown(name) && k.record.Audit.MasksInput(name)
}

// isKnown reports whether the value of an attribute is known, or that it was absent.
func (k knownInputs) isKnown(name string) bool {
	a := k.record.Audit
	switch {
	case strings.HasPrefix(name, "claims.") && k.record.Claims == nil, name == "request.no_caller" && a.Caller != "":
		return true
	case name == "claims.iss", name == "claims.txn":
		return true // each record has fields for them
	case name == subjectInput:
		return !slices.Contains(a.Masked, "sub")
	case slices.ContainsFunc(a.Unrecorded, func(part string) bool { return strings.HasPrefix(part, name+".") }):
		return false
	}
	for whole := name; whole != ""; whole = parentObject(whole) {
		if slices.Contains(a.Unrecorded, whole) {
			return false
		}
		if value, recorded := a.Inputs[whole]; recorded || slices.Contains(k.oldRead, whole) {
			return !hasLostBytes(value)
		}
	}
	return false
}

// parentObject returns the object that holds a member: claims.tctx for claims.tctx.plan.
// It is empty for attributes that are not claims.
func parentObject(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !strings.HasPrefix(name, "claims.") {
		return ""
	}
	return name[:i]
}

// missingFor returns the unknown attributes that may change the answer of the documents,
// sorted. Such an attribute may have been absent or masked, or no document read it. An
// answer with missing attributes must not be used.
func (k knownInputs) missingFor(set *policy.Set, result replayed) []string {
	if !slices.ContainsFunc(set.Reads(), func(name string) bool { return !k.isKnown(name) }) {
		return nil
	}
	trace := set.ExplainToken(k.record.Request, result.token.authenticate)
	var missing []string
	for _, d := range trace.Documents {
		for _, r := range d.Rules {
			if r.Mode == policy.Enforce && mayChangeAnswer(r, trace) {
				missing = append(missing, k.missingForRule(r, result.readToken)...)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// mayChangeAnswer reports whether the answer may depend on the rule. It is true for more
// rules than necessary. The rule that allows counts too: it may do so because a value is
// missing or masked.
func mayChangeAnswer(r policy.RuleTrace, t policy.Trace) bool {
	if r.Effect == "deny" {
		return true
	}
	denied := slices.ContainsFunc(t.Documents, func(d policy.DocumentTrace) bool {
		return slices.ContainsFunc(d.Rules, func(r policy.RuleTrace) bool { return r.Decided && r.Effect == "deny" })
	})
	return !denied && (r.Decided || t.Decision.Reason != decision.RuleAllowed)
}

// missingForRule returns the unknown attributes that a rule reads. The list is empty if a
// condition whose attributes are all known keeps the rule from matching. Claims count
// only if the documents read the token.
func (k knownInputs) missingForRule(r policy.RuleTrace, readToken bool) []string {
	var missing []string
	for _, c := range r.Conditions {
		unknown := false
		for _, name := range c.Inputs {
			if !k.isKnown(name) {
				unknown = true
				if readToken || !strings.HasPrefix(name, "claims.") {
					missing = append(missing, name)
				}
			}
		}
		if !unknown && c.Verdict == "no" {
			return nil
		}
	}
	return missing
}

// joinNames lists attributes for people, and marks the masked ones.
func (k knownInputs) joinNames(names []string) string {
	texts := slices.Clone(names)
	for i, name := range names {
		if k.isMasked(name) {
			texts[i] += " (masked)"
		}
	}
	return strings.Join(texts, ", ")
}

// holdAllOfToken reports whether the record holds all that there is to know about the
// token: its state, or the fact that the documents looked at it.
func (k knownInputs) holdAllOfToken(old []replayed) bool {
	reason := k.record.reason()
	return k.record.holdsToken() || k.exact && old[0].readToken || reason == decision.RuleAllowed || reason == decision.NoRule
}
