package replay

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/policy"
)

// knowledge is what a record tells of the attributes that documents may read. One
// that it does not hold was absent from the request only if the documents in
// force read it then and nothing kept it from being recorded.
type knowledge struct {
	Recorded
	exact bool     // the old documents are those that decided
	read  []string // and this is what they read
}

func (k knowledge) has(name string) bool {
	switch {
	case strings.HasPrefix(name, "claims.") && k.Claims == nil, name == "request.no_caller" && k.Caller != "":
		return true
	case name == "claims.iss", name == "claims.sub", name == "claims.txn":
		return true // they have fields of their own in each record
	case slices.ContainsFunc(k.Unrecorded, func(part string) bool { return strings.HasPrefix(part, name+".") }):
		return false
	}
	for whole := name; whole != ""; whole = above(whole) {
		if slices.Contains(k.Unrecorded, whole) {
			return false
		}
		if value, recorded := k.Inputs[whole]; recorded || slices.Contains(k.read, whole) {
			return !mangled(value)
		}
	}
	return false
}

// mangled texts have lost bytes that were no UTF-8, as no JSON can hold them.
func mangled(value any) bool {
	text, _ := value.(string)
	return strings.ContainsRune(text, utf8.RuneError)
}

// above is the object that holds a member: claims.tctx of claims.tctx.plan.
func above(name string) string {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !strings.HasPrefix(name, "claims.") {
		return ""
	}
	return name[:i]
}

// lacks gives the attributes on which the answer of the documents may depend and
// of which the record does not tell, sorted. No answer that lacks some is given:
// what is missing may be absent, masked, or never have been read.
func (k knowledge) lacks(set *policy.Set, given answer) []string {
	if !slices.ContainsFunc(set.Reads(), func(name string) bool { return !k.has(name) }) {
		return nil
	}
	trace := set.ExplainToken(k.Request, given.token.authenticate)
	var missing []string
	for _, d := range trace.Documents {
		for _, r := range d.Rules {
			if r.Mode == policy.Enforce && matters(r, trace) {
				missing = append(missing, k.undecided(r, given.asked)...)
			}
		}
	}
	slices.Sort(missing)
	return slices.Compact(missing)
}

// matters is generous: a rule that may change the answer does.
func matters(r policy.RuleTrace, t policy.Trace) bool {
	if r.Effect == "deny" {
		return true
	}
	denied := slices.ContainsFunc(t.Documents, func(d policy.DocumentTrace) bool {
		return slices.ContainsFunc(d.Rules, func(r policy.RuleTrace) bool { return r.Decided && r.Effect == "deny" })
	})
	return !denied && t.Decision.Reason != decision.RuleAllowed
}

// undecided are the missing attributes that a rule reads, unless it says no by
// what is known.
func (k knowledge) undecided(r policy.RuleTrace, asked bool) []string {
	var missing []string
	for _, c := range r.Conditions {
		unknown := false
		for _, name := range readBy(c) {
			if !k.has(name) {
				unknown = true
				if asked || !strings.HasPrefix(name, "claims.") {
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

// readBy are the attributes that a condition reads, as inputs name them.
func readBy(c policy.ConditionTrace) []string {
	switch c.Field {
	case "when":
		return c.Reads
	case "scopes":
		return []string{"claims.scope"}
	case "from.issuers":
		return []string{"claims.iss"}
	case "from.noPrincipal":
		return []string{"request.no_caller"}
	case "to.ports":
		return []string{"request.port"}
	}
	if strings.HasPrefix(c.Field, "claims.") {
		return []string{c.Field}
	}
	return nil
}
