//go:build !race

// Under the race detector sync.Pool drops values at random. The suite under the oldest Go runs without it.

package token_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
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
