package keyset_test

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

// A published document is read as the same keys, for one set and for several.
func TestMarshalledSetsAreReadBack(t *testing.T) {
	now := time.Now()
	var sets []*keyset.PublicKeys
	for _, algorithm := range keyset.Algorithms() {
		_, trust := tokentest.NewIssuer(t, algorithm, now)
		sets = append(sets, trust.Keys)
	}
	for n := 1; n <= len(sets); n++ {
		data, err := keyset.MarshalJWKS(sets[:n]...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := keyset.ParseJWKS(data)
		if err != nil || len(got.KeyIDs()) != n {
			t.Fatalf("%d sets: %v, %v", n, got, err)
		}
		for i, set := range sets {
			key, known := got.KeyByID(set.KeyIDs()[0])
			if known != (i < n) || known && key.Algorithm != keyset.Algorithms()[i] {
				t.Errorf("%d sets: the key of set %d: %v, %v", n, i, key.Algorithm, known)
			}
			if got.Equal(set) != (n == 1 && i == 0) {
				t.Errorf("%d sets: equal to set %d: %v", n, i, got.Equal(set))
			}
		}
	}
}
