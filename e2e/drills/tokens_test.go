package drills

import (
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/token"
)

// tokens are made as the gateway's plugin makes them.
type tokens struct{ valid, forged string }

func newTokens(t *testing.T) tokens {
	t.Helper()
	minter := mustGet(token.NewMinter(token.MinterConfig{
		Issuer: "https://tyk.demo.meshpass.dev", Audience: "demo.meshpass.dev",
		Lifetime: token.MaxLifetime, MinRemaining: 5 * time.Second, Keys: tokentest.SigningKeys(t),
	}))(t)
	valid, _, err := minter.Mint(tokentest.Identity())
	must(t, err)
	return tokens{valid: valid, forged: breakSignature(valid)}
}

// breakSignature returns the token with a changed signature of the same form.
func breakSignature(valid string) string {
	at := strings.LastIndexByte(valid, '.') + 1
	other := "A"
	if valid[at] == 'A' {
		other = "B"
	}
	return valid[:at] + other + valid[at+1:]
}

// partnerToken is a token of the issuer of [partner], whose keys nobody has.
func partnerToken(t *testing.T) string {
	t.Helper()
	identity := tokentest.Identity()
	identity.Subject.Namespace, identity.Requester = "partner", "spiffe://partner.example/ns/edge/sa/tyk-gateway"
	minter := mustGet(token.NewMinter(token.MinterConfig{
		Issuer: "https://partner.example", Audience: "demo.meshpass.dev",
		Lifetime: token.MaxLifetime, MinRemaining: 5 * time.Second, Keys: tokentest.SigningKeys(t),
	}))(t)
	raw, _, err := minter.Mint(identity)
	must(t, err)
	return raw
}
