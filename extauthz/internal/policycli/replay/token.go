package replay

import (
	"slices"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// possibleToken is one token that a recorded request may have carried, as documents see
// it: verified claims, or the reason why there are no claims.
type possibleToken struct {
	claims    *identity.Claims
	noToken   decision.Reason // why there are no claims
	outage    bool            // noToken is an outage: onOutage decides
	anyOfKind bool            // noToken is one of several reasons that documents treat alike
}

func (t possibleToken) authenticate() policy.Authentication {
	return policy.Authentication{Claims: t.claims, NoToken: t.noToken, Outage: t.outage}
}

// The possible tokens of a record that holds nothing about a token. Documents treat all
// reasons of a kind alike, except that the reason of their answer is another one.
var (
	missingToken    = possibleToken{noToken: decision.TokenMissing}
	anyInvalidToken = possibleToken{noToken: decision.TokenFormat, anyOfKind: true}
	anyOutage       = possibleToken{noToken: decision.KeysUnavailable, outage: true, anyOfKind: true}
)

// possibleTokens returns the tokens that the request may have carried.
//
//   - The record holds the claims of a verified token: that is the token.
//   - An answer in the record has the reason why a token was not verified: that is the
//     reason. The record does not hold whether it was an outage, so a reason that can be
//     one gives two possibilities.
//   - The record holds neither, because the request had no token or because no document
//     looked at it: everything is possible but a verified token.
//
// There is always at least one.
func (r Record) possibleTokens() []possibleToken {
	switch {
	case r.Claims != nil:
		return []possibleToken{{claims: r.Claims}}
	case r.reason() == decision.Anonymous:
		return []possibleToken{missingToken}
	}
	reasons := []decision.Reason{r.reason()}
	for _, shadow := range r.Shadows {
		reasons = append(reasons, shadow.Reason)
	}
	for _, reason := range reasons {
		switch {
		case isTokenReason(reason) && reason.CanBeOutage():
			return []possibleToken{{noToken: reason}, {noToken: reason, outage: true}}
		case isTokenReason(reason):
			return []possibleToken{{noToken: reason}}
		case reason == decision.OutageAllowed:
			return []possibleToken{anyOutage}
		}
	}
	return []possibleToken{missingToken, anyInvalidToken, anyOutage}
}

// isTokenReason reports whether the reason is one why a token was not verified.
func isTokenReason(reason decision.Reason) bool {
	switch reason.Class() {
	case decision.Unauthenticated:
		return true
	case decision.Unavailable:
		return reason != decision.PolicyRefused
	default:
		return reason == decision.NotEntitled
	}
}

// holdsToken reports whether the record holds the state of the token: its claims, or the
// reason why there are no claims. It may still be open whether the reason was an outage.
func (r Record) holdsToken() bool {
	all := r.possibleTokens()
	return !slices.ContainsFunc(all, func(t possibleToken) bool { return t.noToken != all[0].noToken })
}
