package policy

import (
	"github.com/meshpass/meshpass/shared/decision"
)

// Decide answers by the steps of the package comment. The zero Set denies.
func (s *Set) Decide(r Request, auth Authenticate) decision.Decision {
	if r.Callee == "" {
		return decision.Deny(decision.NoCallee, "", "")
	}
	documents := s.targeting(r.Callee)
	if len(documents) == 0 {
		return decision.Deny(decision.Unguarded, "", "")
	}
	if CheckPath(r.Path) != nil {
		return decision.Deny(decision.AmbiguousPath, "", "")
	}
	who := newSubject(r)
	if d, done := beforeToken(documents, who); done {
		return d
	}
	claims, reason := auth()
	switch {
	case claims != nil:
		who.authenticated(claims)
	case reason != decision.TokenMissing || !allOptional(documents):
		return decision.Deny(reason, "", "")
	}
	return byRules(documents, who)
}

// beforeToken is step 3: denies that no token could lift, then public entries.
func beforeToken(documents []*compiled, who *subject) (decision.Decision, bool) {
	for _, c := range documents {
		for i := range c.rules {
			if r := &c.rules[i]; r.deny && r.early {
				if d, denied := r.denies(who); denied {
					return d, true
				}
			}
		}
	}
	for _, c := range documents {
		for i := range c.public {
			if r := &c.public[i]; all(r.conditions, who) == yes {
				return decision.Allow(decision.Public, r.policy, r.name), true
			}
		}
	}
	return decision.Decision{}, false
}

func allOptional(documents []*compiled) bool {
	for _, c := range documents {
		if !c.optional {
			return false
		}
	}
	return true
}

// byRules is steps 5 to 7.
func byRules(documents []*compiled, who *subject) decision.Decision {
	for _, c := range documents {
		for i := range c.rules {
			if d, denied := c.rules[i].denies(who); denied {
				return d
			}
		}
	}
	answer := decision.Deny(decision.NoRule, "", "")
	for _, c := range documents {
		for i := range c.rules {
			r := &c.rules[i]
			if r.deny {
				continue
			}
			switch all(r.conditions, who) {
			case yes:
				return decision.Allow(decision.RuleAllowed, r.policy, r.name)
			case undecided:
				if answer.Reason == decision.NoRule {
					answer = decision.Deny(decision.ConditionError, r.policy, r.name)
				}
			}
		}
	}
	return answer
}

// denies is true also where the rule cannot be decided.
func (r *rule) denies(who *subject) (decision.Decision, bool) {
	if !r.deny {
		return decision.Decision{}, false
	}
	switch all(r.conditions, who) {
	case yes:
		return decision.Deny(decision.RuleDenied, r.policy, r.name), true
	case undecided:
		return decision.Deny(decision.ConditionError, r.policy, r.name), true
	}
	return decision.Decision{}, false
}
