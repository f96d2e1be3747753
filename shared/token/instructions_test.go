//go:build !race && go1.26

package token_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/instructions"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// All rules but the signature, on amd64 with Go 1.26: 58,500.
func TestVerifyInstructions(t *testing.T) {
	v, raw := verifier(t, noon), tokentest.ValidToken(t, noon)
	instructions.RequireAtMost(t, 68_000, func() {
		if _, err := v.CheckAllButSignature(raw); err != nil {
			t.Fatal(err)
		}
	})
}
