//go:build !race && go1.26

package policy_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/instructions"
)

// One document, with an expression, on amd64 with Go 1.26: 14,700.
func TestDecideInstructions(t *testing.T) {
	set, r := load(t, orders, public), request()
	claims, _ := alice(nil)()
	auth := verified(claims)
	instructions.RequireAtMost(t, 17_000, func() {
		if d := set.Decide(r, auth); !d.Allowed() {
			t.Fatal(describe(d))
		}
	})
}
