package identity_test

import (
	"strings"
	"sync"
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

// One prepared key serves many goroutines, with the pseudonyms of the key itself.
func TestPreparedPseudonyms(t *testing.T) {
	secret := identity.PseudonymKey(strings.Repeat("s", 32))
	prepared := identity.NewPseudonyms(secret)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Add(1)
		go func() {
			defer all.Done()
			for n := range 200 {
				key := strings.Repeat("k", (worker*200+n)%150)
				if got, want := prepared.Pseudonym(key), secret.Pseudonym(key); got != want {
					t.Errorf("%d bytes: got %s, want %s", len(key), got, want)
				}
			}
		}()
	}
	all.Wait()
}
