//go:build !race

// Under the race detector sync.Pool drops values at random. The suite under the oldest Go runs without it.

package token_test

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

// maxAllocations are the claims with two maps and their values, and one text that all texts
// are parts of. The signature is not counted: that is the standard library's.
const maxAllocations = 20

// The number of allocations does not depend on the machine, unlike the time.
func TestVerifyAllocatesNoMoreThanTheClaims(t *testing.T) {
	v, raw := verifier(t, noon), tokentest.ValidToken(t, noon)
	got := testing.AllocsPerRun(100, func() {
		if _, err := v.CheckAllButSignature(raw); err != nil {
			t.Fatal(err)
		}
	})
	if got > maxAllocations {
		t.Errorf("%v allocations, at most %d", got, maxAllocations)
	}
}

// mintAllocations are the draft, the text of its claims, the subject, and the token. The
// signature is not counted, because each algorithm and each Go takes another number.
const mintAllocations = 4

func TestMintAllocatesLittleMoreThanTheToken(t *testing.T) {
	for _, algorithm := range keyset.Algorithms() {
		minter, _ := tokentest.NewIssuer(t, algorithm, noon)
		key, id := tokentest.NewSigningKeys(t, algorithm, noon).Keys()[0], tokentest.Identity()
		input := make([]byte, 700)
		count := func(do func() error) float64 {
			return testing.AllocsPerRun(100, func() {
				if err := do(); err != nil {
					t.Fatal(err)
				}
			})
		}
		minted := count(func() error { _, err := minter.MintToken(id, time.Minute); return err })
		signed := count(func() error { _, err := key.Sign(input); return err })
		if got := minted - signed; got > mintAllocations {
			t.Errorf("%s: %v allocations besides the signature's %v, at most %d", algorithm, got, signed, mintAllocations)
		}
	}
}
