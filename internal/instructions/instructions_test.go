//go:build !race && go1.26

package instructions_test

import (
	"testing"

	"github.com/meshpass/meshpass/internal/instructions"
)

var sum int

// add is a loop of a few instructions in each round.
//
//go:noinline
func add(rounds int) {
	for i := range rounds {
		sum += i
	}
}

// Twice the work takes twice the instructions.
func TestCountPerCall(t *testing.T) {
	t.Run("single", func(t *testing.T) { requireBetween(t, 2_000, 8_000, func() { add(1_000) }) })
	t.Run("double", func(t *testing.T) { requireBetween(t, 4_000, 16_000, func() { add(2_000) }) })
}

func requireBetween(t *testing.T, least, most float64, work func()) {
	t.Helper()
	if got := instructions.CountPerCall(t, work); got < least || got > most {
		t.Errorf("%.0f instructions, want %.0f to %.0f", got, least, most)
	}
}
