package app

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// byHand is a token as only a test minter makes it, by a key that is trusted.
func byHand(t *testing.T) string {
	parts := tokentest.ValidParts(t, time.Now())
	parts.Claims["tctx"] = map[string]any{"test": true, "tenant": "acme"}
	return parts.Sign(t)
}

// Test tokens are allowed only by the file, and the log says so at the start.
func TestTokensForTests(t *testing.T) {
	for settings, want := range map[string]decision.Reason{"": decision.TestToken, "\ninsecure: {allowTestTokens: true}": decision.RuleAllowed} {
		a := startAsked(t, newFiles(t, oneListener+settings))
		request := order(t, gateway)
		request.Attributes.Request.Http.Headers["txn-token"] = byHand(t)
		if got := reasonOf(t, a, t.Context(), request); got != string(want) {
			t.Errorf("%s: got %s", settings, got)
		}
		warned := len(a.matches(`"level":"WARN","msg":"(insecure\.allowTestTokens): `)) == 1
		if warned != (want == decision.RuleAllowed) {
			t.Errorf("%s: log: %s", settings, a.log.String())
		}
	}
}

// `meshpass token verify` answers as the authorizer would, by the parts of the file
// that concern tokens.
func TestVerifierOfAFile(t *testing.T) {
	f := newFiles(t, "listeners: []")
	v, err := NewVerifier(f.config, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(tokentest.ValidToken(t, time.Now())); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(byHand(t)); token.ReasonOf(err) != decision.TestToken {
		t.Errorf("got %v", err)
	}
	f.write("jwks.json", "{}")
	if v, err := NewVerifier(f.config, time.Now, slog.New(slog.DiscardHandler)); v != nil || err == nil || !strings.Contains(err.Error(), "trust[0].jwks.file: ") {
		t.Errorf("got %v, %v", v, err)
	}
	if v, err := NewVerifier("absent.yaml", time.Now, slog.New(slog.DiscardHandler)); v != nil || err == nil {
		t.Errorf("got %v, %v", v, err)
	}
}
