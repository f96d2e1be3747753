package explain

import (
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// TokenState is what is known of the token of a request.
type TokenState struct {
	Claims  *identity.Claims
	NoToken decision.Reason // why there are no claims
	Outage  bool            // NoToken is an outage: onOutage decides
	Source  string          // how the claims are known, for people; empty without claims
}

func (t TokenState) authenticate() policy.Authentication {
	return policy.Authentication{Claims: t.Claims, NoToken: t.NoToken, Outage: t.Outage}
}

// TokenReader reads the token of a CheckRequest.
type TokenReader func(raw string) (TokenState, error)

// VerifyTokens returns a reader that verifies tokens.
func VerifyTokens(verify func(raw string) policy.Authentication) TokenReader {
	return func(raw string) (TokenState, error) {
		verified := verify(raw)
		t := TokenState{Claims: verified.Claims, NoToken: verified.NoToken, Outage: verified.Outage}
		if t.Claims != nil {
			t.Source = "verified"
		}
		return t, nil
	}
}

// TrustTokens returns a reader that verifies nothing: it takes the claims as they are in
// the token, and marks them as not verified.
func TrustTokens(now time.Time) TokenReader {
	return func(raw string) (TokenState, error) {
		inspected, err := tokentools.Inspect(raw, now)
		if err != nil {
			return TokenState{NoToken: decision.TokenFormat}, nil
		}
		claims, err := policycli.ParseClaims(inspected.Claims)
		return TokenState{Claims: claims, Source: "NOT VERIFIED: the claims are as in the token; --config verifies it"}, err
	}
}
