package policycli_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/tokentools"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// ParseClaims knows every claim that a gateway writes, and reads the values that a
// verifier reads, except for the times.
func TestParseClaimsReadsWhatGatewaysWrite(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	raw, want, err := tokentest.NewMinter(t, now).Mint(tokentest.Identity())
	if err != nil {
		t.Fatal(err)
	}
	inspected, err := tokentools.Inspect(raw, now)
	if err != nil {
		t.Fatal(err)
	}
	got, err := policycli.ParseClaims(inspected.Claims)
	if err != nil {
		t.Fatal(err)
	}
	got.IssuedAt, got.Expires = want.IssuedAt, want.Expires
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
