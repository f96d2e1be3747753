package identity_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

// The value is what `printf %s KEY | openssl dgst -sha256 -hmac SECRET -binary`
// returns, in base64url: with the secret, a session can be found by other tools.
func TestPseudonym(t *testing.T) {
	secret, err := identity.ParsePseudonymKey([]byte(strings.Repeat("s", 32) + "\r\n"))
	if err != nil || len(secret) != 32 {
		t.Fatalf("got %d bytes, %v", len(secret), err)
	}
	if got, want := secret.Pseudonym("demo0123"), "wHScUdPOKwVcAG8TpHnM4Fzcl1hVC9ZpJI_ha9XQ464"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if _, err := identity.ParsePseudonymKey([]byte(strings.Repeat("s", 31) + "\n")); err == nil {
		t.Error("31 bytes are accepted")
	}
}
