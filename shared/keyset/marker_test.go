package keyset_test

import (
	"errors"
	"testing"

	"github.com/meshpass/meshpass/shared/keyset"
)

func TestADirectoryIsForTestsOrForProduction(t *testing.T) {
	for _, row := range []struct {
		name         string
		first, later func(dir, algorithm string, p keyset.Plan) (string, error)
		test         bool
		want         error
	}{
		{"production", keyset.CreateKey, keyset.CreateKey, false, nil},
		{"test", keyset.CreateTestKey, keyset.CreateTestKey, true, nil},
		{"a test key into production", keyset.CreateKey, keyset.CreateTestKey, false, keyset.ErrMixedKeys},
		{"a production key among test keys", keyset.CreateTestKey, keyset.CreateKey, true, keyset.ErrMixedKeys},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := row.first(dir, keyset.ES256, plan(noon)); err != nil {
				t.Fatal(err)
			}
			if _, err := row.later(dir, keyset.ES256, plan(noon)); !errors.Is(err, row.want) {
				t.Errorf("got %v", err)
			}
			keys, err := keyset.LoadSigningKeys(dir)
			if err != nil || keys.IsTest() != row.test {
				t.Errorf("got %+v, %v", keys, err)
			}
			if want := map[bool]int{true: 2, false: 1}[row.want == nil]; len(keys.Keys()) != want {
				t.Errorf("got %d keys", len(keys.Keys()))
			}
		})
	}
}
