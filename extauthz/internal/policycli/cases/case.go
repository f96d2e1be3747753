package cases

import (
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Case is one request and the answer that it expects.
type Case struct {
	File     string
	Position strictyaml.Position
	Name     string
	Request  policy.Request
	Claims   *identity.Claims // of a verified token; nil: see NoToken
	NoToken  decision.Reason  // why there are no claims
	Expect   Expectation
}

// Expectation is the part of an answer that a case compares. Empty fields are not
// compared. Shadow lists all answers in shadow, in their order.
type Expectation struct {
	Decision, Reason, Rule string
	Shadow                 []string
}

// authenticate returns what a verifier returns for the token of the case.
func (c *Case) authenticate() (*identity.Claims, decision.Reason) { return c.Claims, c.NoToken }

func (c *Case) decideBy(set *policy.Set) decision.Decision {
	return set.Decide(c.Request, c.authenticate)
}
