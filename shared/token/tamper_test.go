package token_test

import (
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

// A token with any one byte changed is invalid.
func TestAnySingleChangedByteIsRefused(t *testing.T) {
	for _, algorithm := range keyset.Algorithms() {
		t.Run(algorithm, func(t *testing.T) {
			t.Parallel()
			minter, trust := tokentest.NewIssuer(t, algorithm, noon)
			raw, _, err := minter.Mint(tokentest.Identity())
			if err != nil {
				t.Fatal(err)
			}
			v := verifierOf(t, trust)
			for at := range raw {
				for _, changed := range changes(raw, at) {
					if _, err := v.Verify(changed); err == nil || token.RuleNumber(token.ReasonOf(err)) == 0 {
						t.Fatalf("byte %d: %v", at, err)
					}
				}
			}
		})
	}
}

// changes flips each bit of a byte, and drops, doubles and dots it.
func changes(raw string, at int) (all []string) {
	before, b, after := raw[:at], raw[at], raw[at+1:]
	for bit := range 8 {
		all = append(all, before+string([]byte{b ^ 1<<bit})+after)
	}
	all = append(all, before+after, before+string([]byte{b, b})+after)
	if b != '.' {
		all = append(all, before+"."+after)
	}
	return all
}

// An ES256 token has one other spelling: anyone who has the token can compute the twin of
// its signature. It has the same claims, so it is accepted. docs/token.md warns of it.
func TestTwinOfAnES256Signature(t *testing.T) {
	v, raw := verifier(t, noon), tokentest.ValidToken(t, noon)
	cut := strings.LastIndexByte(raw, '.') + 1
	signature, err := base64.RawURLEncoding.DecodeString(raw[cut:])
	if err != nil {
		t.Fatal(err)
	}
	s := new(big.Int).SetBytes(signature[32:])
	s.Sub(elliptic.P256().Params().N, s).FillBytes(signature[32:])
	twin := raw[:cut] + base64.RawURLEncoding.EncodeToString(signature)
	claims, err := v.Verify(twin)
	if err != nil || twin == raw || claims.Txn != tokentest.Identity().Txn {
		t.Errorf("got %+v, %v", claims, err)
	}
}
