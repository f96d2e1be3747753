//go:build !race

package policy_test

import "testing"

// The number of allocations of a decision does not depend on the machine, unlike the time.
// One is the function that gives the token, the others are those of an expression.
func TestDecideAllocatesForTheExpressionAlone(t *testing.T) {
	const most = 5
	set, r := load(t, orders, public), request()
	claims, _ := alice(nil)()
	auth := verified(claims)
	got := testing.AllocsPerRun(100, func() {
		if d := set.Decide(r, auth); !d.Allowed() {
			t.Fatal(describe(d))
		}
	})
	if got > most {
		t.Errorf("%v allocations, at most %d", got, most)
	}
}
