package token_test

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/token"
)

var (
	ruleRow  = regexp.MustCompile(`(?m)^\| (\d+) \| .* \|([^|]*)\|$`)
	codeSpan = regexp.MustCompile("`([a-z0-9_]+)`")
)

// docs/token.md numbers every rule. Each reason has the number there that
// [token.RuleNumber] returns.
func TestRulesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/token.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, numbers := map[decision.Reason]int{}, map[int]bool{}
	for _, row := range ruleRow.FindAllStringSubmatch(string(text), -1) {
		number, err := strconv.Atoi(row[1])
		if err != nil {
			t.Fatal(err)
		}
		numbers[number] = true
		for _, code := range codeSpan.FindAllStringSubmatch(row[2], -1) {
			documented[decision.Reason(code[1])] = number
		}
	}
	for number := range 26 {
		if !numbers[number+1] {
			t.Errorf("rule %d is not documented", number+1)
		}
	}
	known := map[decision.Reason]int{}
	for _, r := range decision.Reasons() {
		if number := token.RuleNumber(r); number != 0 {
			known[r] = number
		}
	}
	if !reflect.DeepEqual(documented, known) {
		t.Errorf("docs/token.md has %v\nthe verifier %v", documented, known)
	}
}

// Every reason of a rule has a forgery, and a rule rejects every forgery.
func TestCatalogueIsComplete(t *testing.T) {
	seen := map[decision.Reason]bool{
		decision.TokenMissing:    true, // an empty header: TestEmptyToken
		decision.TokenDuplicated: true, // seen by the check package, before a token is a text
		decision.AlgorithmKey:    true, // TestKeyHasOneAlgorithm
		decision.TokenRevoked:    true, // depends on a list: TestRevokedTokens
	}
	for _, forgery := range tokentest.ForgedTokens(t, noon) {
		seen[forgery.Reason] = true
		if token.RuleNumber(forgery.Reason) == 0 {
			t.Errorf("%s: %s belongs to no rule", forgery.Name, forgery.Reason)
		}
	}
	for _, reason := range decision.Reasons() {
		if token.RuleNumber(reason) != 0 && !seen[reason] {
			t.Errorf("no forgery is refused for %s", reason)
		}
	}
}

// Tokens of other kinds are invalid, even if the issuer's key signed them for the same
// audience and they have every claim of a Transaction Token (16).
func TestOtherKindsOfTokensByTheSameKey(t *testing.T) {
	v := verifier(t, noon)
	for _, typ := range []any{"JWT", "at+jwt", "dpop+jwt", "wit+jwt", "wpt+jwt", "secevent+jwt", "logout+jwt", "txn_token", "N_A", "", nil} {
		parts := tokentest.ValidParts(t, noon)
		parts.Header["typ"] = typ
		if _, err := v.Verify(parts.Sign(t)); token.ReasonOf(err) != decision.TypeMismatch {
			t.Errorf("%v: got %v", typ, err)
		}
	}
}

// The value of a claim is passed on unchanged, and is never part of an error (17).
func TestHostileValuesAreValues(t *testing.T) {
	const hostile = `"},"admin":true,{"<script>${jndi:ldap://x}' OR 1=1 -- %00%0d%0a`
	parts := tokentest.ValidParts(t, noon)
	parts.Claims["sub"] = "idp:" + hostile
	parts.Claims["tctx"] = map[string]any{hostile: hostile}
	claims, err := verifier(t, noon).Verify(parts.Sign(t))
	if err != nil || claims.Subject != "idp:"+hostile || claims.Tctx[hostile] != hostile || len(claims.Tctx) != 1 {
		t.Errorf("got %+v, %v", claims, err)
	}
	for name := range parts.Claims {
		bad := tokentest.ValidParts(t, noon)
		bad.Claims[name] = hostile + "\n"
		if _, err := verifier(t, noon).Verify(bad.Sign(t)); err == nil || strings.Contains(err.Error(), "jndi") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A key is used with its own algorithm and for its own issuer only, even if another entry
// would accept it (20). Package keyset tests the rest of the rule.
func TestKeysOfAnotherIssuer(t *testing.T) {
	minter, foreign := tokentest.NewIssuer(t, keyset.ES256, noon)
	foreign.Issuer = "https://other.example"
	v, err := token.NewVerifier([]token.Trust{tokentest.TrustEntry(t), foreign}, tokentest.Domains, token.Options{Now: func() time.Time { return noon }})
	if err != nil {
		t.Fatal(err)
	}
	raw, _, err := minter.Mint(tokentest.Identity()) // with the name of the test issuer
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(raw); token.ReasonOf(err) != decision.KeyUnknown {
		t.Errorf("got %v", err)
	}
}

// Of two faults the cheap one is found first, and before the signature only the issuer and
// the times are read (21).
func TestOrderOfTheRules(t *testing.T) {
	unix := noon.Unix()
	for _, row := range []struct {
		name   string
		claims map[string]any
		want   decision.Reason
	}{
		{"a bad signature", nil, decision.SignatureInvalid},
		{"and it is expired", map[string]any{"iat": unix - 120, "exp": unix - 60}, decision.TokenExpired},
		{"and the audience is another", map[string]any{"aud": "x"}, decision.SignatureInvalid},
		{"and there is no subject", map[string]any{"sub": ""}, decision.SignatureInvalid},
		{"and it is for tests", map[string]any{"tctx": map[string]any{"test": true}}, decision.SignatureInvalid},
	} {
		t.Run(row.name, func(t *testing.T) {
			parts := tokentest.ValidParts(t, noon)
			maps.Copy(parts.Claims, row.claims)
			raw := parts.Sign(t)
			other := tokentest.ValidToken(t, noon)
			broken := raw[:strings.LastIndexByte(raw, '.')] + other[strings.LastIndexByte(other, '.'):]
			if _, err := verifier(t, noon).Verify(broken); token.ReasonOf(err) != row.want {
				t.Errorf("got %v", err)
			}
		})
	}
}
