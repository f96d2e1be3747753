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
		{"production", keyset.New, keyset.New, false, nil},
		{"test", keyset.NewTest, keyset.NewTest, true, nil},
		{"a test key into production", keyset.New, keyset.NewTest, false, keyset.ErrMarker},
		{"a production key among test keys", keyset.NewTest, keyset.New, true, keyset.ErrMarker},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := row.first(dir, keyset.ES256, plan(noon)); err != nil {
				t.Fatal(err)
			}
			if _, err := row.later(dir, keyset.ES256, plan(noon)); !errors.Is(err, row.want) {
				t.Errorf("got %v", err)
			}
			keys, err := keyset.LoadSigning(dir)
			if err != nil || keys.Test() != row.test {
				t.Errorf("got %+v, %v", keys, err)
			}
			if want := map[bool]int{true: 2, false: 1}[row.want == nil]; len(keys.Keys()) != want {
				t.Errorf("got %d keys", len(keys.Keys()))
			}
		})
	}
}
