//go:build !race

// Under the race detector sync.Pool drops values at random. Each suite runs without it too.

package main

import (
	"math"
	"testing"

	"github.com/meshpass/meshpass/shared/keyset"
)

// hookAllocations is how many times the three hooks of one request take memory, with the copy of the request
// that the test makes. An EdDSA signature takes one; shared/token has a test for the other algorithms.
var hookAllocations = map[string]float64{"key": 26, "jwt": 123}

// The number of allocations does not depend on the machine, unlike the time.
func TestHooksAllocateNoMoreThanRecorded(t *testing.T) {
	p := startRigWith(t, keyset.EdDSA)
	for name, c := range benchCalls {
		run := newHooksRun(c())
		least := math.Inf(1) // a garbage collection in between empties pools
		for range 3 {
			least = min(least, testing.AllocsPerRun(200, func() { run.pass(t, p) }))
		}
		if least > hookAllocations[name] {
			t.Errorf("%s: %v allocations, at most %v", name, least, hookAllocations[name])
		}
	}
}
