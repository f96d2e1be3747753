package bench_test

import (
	"testing"

	"github.com/meshpass/meshpass/e2e/bench"
)

// A whole Check of the built program allocates no more than when these bounds were recorded. They have room for a tenth.
func TestCheckAllocations(t *testing.T) {
	got, err := bench.CountAllocations(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if most := 98.0; got.Remembered > most {
		t.Errorf("%.1f allocations of a Check with a remembered token, at most %v", got.Remembered, most)
	}
	if most := 117.0; got.Fresh > most {
		t.Errorf("%.1f allocations of a Check with a fresh token, at most %v", got.Fresh, most)
	}
}
