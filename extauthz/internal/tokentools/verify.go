package tokentools

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// Verification is what a verifier says of a token, and by which rule of docs/token.md.
type Verification struct {
	Accepted bool            `json:"accepted"`
	Rule     int             `json:"rule,omitempty"`
	Reason   decision.Reason `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Issuer   string          `json:"issuer,omitempty"` // from here on of an accepted token
	Subject  string          `json:"subject,omitempty"`
	Txn      string          `json:"txn,omitempty"`
	Scope    string          `json:"scope,omitempty"`
	Expires  *time.Time      `json:"expires,omitempty"`
}

// Verify judges the token as a hop with this verifier would.
func Verify(v *token.Verifier, raw string) Verification {
	claims, err := v.Verify(raw)
	if err != nil {
		verdict := Verification{Reason: token.ReasonOf(err)}
		verdict.Rule = token.RuleNumber(verdict.Reason)
		if cause := errors.Unwrap(err); cause != nil {
			verdict.Detail = cause.Error()
		}
		return verdict
	}
	return Verification{
		Accepted: true, Issuer: claims.Issuer, Subject: claims.Subject,
		Txn: claims.Txn, Scope: claims.Scope, Expires: &claims.Expires,
	}
}

// Print writes it for people.
func (v Verification) Print(to io.Writer) error {
	text := fmt.Sprintf("refused by rule %d of docs/token.md, %s: %s", v.Rule, v.Reason, v.Detail)
	if v.Accepted {
		text = fmt.Sprintf("accepted: %s, vouched for by %s\nscope %q, transaction %s, until %s",
			v.Subject, v.Issuer, v.Scope, v.Txn, v.Expires.Format(time.RFC3339))
	}
	return printer.Text(to, text+"\n")
}
