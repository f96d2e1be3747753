// Package decision holds the answer to one request and the closed list of
// reasons for it. The zero Decision denies, so that a path through the code
// which forgot to decide refuses.
package decision

// Decision is the answer, and which rule of which document gave it.
type Decision struct {
	Reason       Reason
	Policy, Rule string // empty where no rule spoke
	Folder       string // of Policy: names of documents are unique in a folder
	Shared       bool   // another folder has a document named as Policy too

	// Shadow is what the answer would be if that were enforced which is only
	// watched: documents and rules in shadow, or what an override lifts. Nil where
	// nothing is. It never changes the answer.
	Shadow *Decision
}

// Shadows are the answers that were not given, as texts for an audit record:
// "deny rule_denied", or "deny rule_denied orders/no-batch" where a rule spoke. The
// folder stands before the document's name where another folder has that name too.
func (d Decision) Shadows() []string {
	var all []string
	for s := d.Shadow; s != nil; s = s.Shadow {
		text := s.String() + " " + string(s.Reason)
		if s.Policy != "" {
			text += " " + s.policy() + "/" + s.Rule
		}
		all = append(all, text)
	}
	return all
}

// By names the rule that spoke: POLICY/RULE, and FOLDER/POLICY/RULE where the name
// of the document alone could be that of another one. Without a rule it is the
// document alone, and empty without a document.
func (d Decision) By() string {
	if d.Rule == "" || d.Policy == "" {
		return d.policy() + d.Rule
	}
	return d.policy() + "/" + d.Rule
}

func (d Decision) policy() string {
	if d.Shared {
		return d.Folder + "/" + d.Policy
	}
	return d.Policy
}

// Mode says in one word, for an audit record, that not all was carried out:
// "unenforced" and "overridden" where that let the request in, "shadow" where an
// answer beside it was not given. Empty: all was.
func (d Decision) Mode() string {
	switch {
	case d.Reason == Unenforced || d.Reason == Overridden:
		return string(d.Reason)
	case d.Shadow != nil:
		return "shadow"
	}
	return ""
}

// Deny refuses with a reason. Allowing takes a reason of the class Allowed, and
// there is no other way: see [Decision.Allowed].
func Deny(r Reason, policy, rule string) Decision {
	if r.Class() == Allowed {
		r = ""
	}
	return Decision{Reason: r, Policy: policy, Rule: rule}
}

// Allow lets the request in; with a reason that is no allow it denies.
func Allow(r Reason, policy, rule string) Decision {
	return Decision{Reason: r, Policy: policy, Rule: rule}
}

// Allowed is derived from the reason, so that the two can never disagree.
func (d Decision) Allowed() bool { return d.Reason.Class() == Allowed }

// String is "allow" or "deny".
func (d Decision) String() string {
	if d.Allowed() {
		return "allow"
	}
	return "deny"
}
