// Package decision holds the answer to one request, and the closed list of reasons
// for an answer.
//
// A [Decision] is a reason and the rule that gave it. Whether the request is allowed
// follows from the reason: each [Reason] has a [Class], and the class [Allowed] is the
// only one that lets a request in. Two fields can therefore never disagree, and the
// zero Decision denies: code that forgets to decide denies the request.
//
// A reason is a stable code. It is a value of the metrics' label "reason", a field of
// the audit record, and a member of the body that a denied client gets ([ProblemBody]).
// Reasons are added and never renamed. The list is in reason.go, and [Reasons] returns
// it.
//
// Some documents and rules are evaluated and not enforced. Their answers hang below the
// enforced one, as [Decision.Shadow]. An audit record keeps them as texts
// ([Decision.Shadows]), and [ParseShadow] reads such a text.
package decision

// Decision is the answer to one request. The zero Decision denies.
type Decision struct {
	Reason Reason
	Policy string // name of the document that decided; may be empty
	Rule   string // name of the rule of Policy that decided; may be empty
	Folder string // folder of Policy; names of documents are unique in a folder
	Shared bool   // another folder has a document of that name too

	// Shadow is the answer that the request would get if everything that is in shadow,
	// or that an override lifts, were enforced. It is nil where that is nothing. It may
	// have a Shadow itself. It never changes the answer.
	Shadow *Decision
}

// Deny returns a decision that denies the request. A reason of the class Allowed is
// dropped, so that Deny never allows.
func Deny(r Reason) Decision {
	if r.Class() == Allowed {
		r = ""
	}
	return Decision{Reason: r}
}

// Allow returns a decision with the reason. It allows the request only if the reason
// is of the class [Allowed]; with any other reason it denies.
func Allow(r Reason) Decision { return Decision{Reason: r} }

// By returns the decision with the document and the rule that gave it. Rule is empty
// for a document that decided without a rule.
func (d Decision) By(policy, rule string) Decision {
	d.Policy, d.Rule = policy, rule
	return d
}

// Allowed reports whether the request may pass. It is derived from the reason.
func (d Decision) Allowed() bool { return d.Reason.Class() == Allowed }

// String returns "allow" or "deny".
func (d Decision) String() string {
	if d.Allowed() {
		return "allow"
	}
	return "deny"
}

// RuleName returns the name of the rule that decided: POLICY/RULE, or
// FOLDER/POLICY/RULE where another folder has a document of that name too. For a
// decision without a rule it is the name of the document, and empty without a document.
func (d Decision) RuleName() string {
	if d.Rule == "" || d.Policy == "" {
		return d.policyName() + d.Rule
	}
	return d.policyName() + "/" + d.Rule
}

func (d Decision) policyName() string {
	if d.Shared {
		return d.Folder + "/" + d.Policy
	}
	return d.Policy
}

// Mode returns the field mode of an audit record, for answers that are not enforced:
//
//   - "unenforced" or "overridden": that is why the request was allowed
//   - "shadow": there is an answer in [Decision.Shadow]
//   - empty: everything was enforced
func (d Decision) Mode() string {
	switch {
	case d.Reason == Unenforced || d.Reason == Overridden:
		return string(d.Reason)
	case d.Shadow != nil:
		return "shadow"
	}
	return ""
}
