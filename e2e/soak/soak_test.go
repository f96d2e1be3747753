package soak_test

import (
	"slices"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/soak"
	"github.com/meshpass/meshpass/shared/keyset"
)

// A short run that rotates from one algorithm to the other and back, and kills Redis and one authorizer. The lead is longer than that of make soak, because tests
// share their machine with others.
func TestSoak(t *testing.T) {
	result, err := soak.Run(t.Context(), soak.Options{Duration: 17 * time.Second, Rate: 140, Every: 5 * time.Second, Lead: 5 * time.Second, Progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	if err := result.Print(t.Output()); err != nil {
		t.Error(err)
	}
	if len(result.Wrong) > 0 {
		t.Error("wrong:", result.Wrong)
	}
	if back := []string{keyset.EdDSA, keyset.ES256, keyset.EdDSA}; len(result.Used) < 3 || !slices.Equal(result.Used[:3], back) {
		t.Errorf("the gateway signed with %v, want %v", result.Used, back)
	}
	if result.Rotations == 0 || result.Restarts["Redis"] == 0 || result.Restarts["meshpass"] == 0 {
		t.Errorf("too little happened: %d rotations, keys %v, restarts %v", result.Rotations, result.Signed, result.Restarts)
	}
}
