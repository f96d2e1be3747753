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

// Verification is the result of a verifier, with the rule of docs/token.md that rejects the token.
type Verification struct {
	Accepted bool            `json:"accepted"`
	Rule     int             `json:"rule,omitempty"`
	Reason   decision.Reason `json:"reason,omitempty"`
	Detail   string          `json:"detail,omitempty"`
	Issuer   string          `json:"issuer,omitempty"` // this field and the following ones: of an accepted token
	Subject  string          `json:"subject,omitempty"`
	Txn      string          `json:"txn,omitempty"`
	Scope    string          `json:"scope,omitempty"`
	Expires  *time.Time      `json:"expires,omitempty"`
}

// Verify verifies the token as a hop with this verifier would.
func Verify(v *token.Verifier, raw string) Verification {
	claims, err := v.Verify(raw)
	if err != nil {
		rejected := Verification{Reason: token.ReasonOf(err)}
		rejected.Rule = token.RuleNumber(rejected.Reason)
		if cause := errors.Unwrap(err); cause != nil {
			rejected.Detail = cause.Error()
		}
		return rejected
	}
	return Verification{
		Accepted: true, Issuer: claims.Issuer, Subject: claims.Subject,
		Txn: claims.Txn, Scope: claims.Scope, Expires: &claims.Expires,
	}
}

// Print writes the result as text.
func (v Verification) Print(to io.Writer) error {
	text := fmt.Sprintf("rejected by rule %d of docs/token.md, %s: %s", v.Rule, v.Reason, v.Detail)
	if v.Accepted {
		text = fmt.Sprintf("accepted: %s, issued by %s\nscope %q, transaction %s, until %s",
			v.Subject, v.Issuer, v.Scope, v.Txn, printer.FormatTime(*v.Expires))
	}
	return printer.Text(to, text+"\n")
}
