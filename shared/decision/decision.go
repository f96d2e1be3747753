// Package decision holds the answer to one request and the closed list of
// reasons for it. The zero Decision denies, so that a path through the code
// which forgot to decide refuses.
package decision

// Decision is the answer, and which rule of which document gave it.
type Decision struct {
	Reason       Reason
	Policy, Rule string // empty where no rule spoke
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
