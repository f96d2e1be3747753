package idheaders_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/idheaders"
	"github.com/meshpass/meshpass/shared/identity"
)

func TestValues(t *testing.T) {
	header, err := idheaders.New("x-meshpass-value", "tctx.value")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name  string
		claim any
		want  string
		err   error
	}{
		{"text", "acme", "acme", nil},
		{"all that is visible", ` !"#~`[1:], `!"#~`, nil},
		{"a space inside", "Alice Smith", "Alice Smith", nil},
		{"a comma", "a,b", "a,b", nil},
		{"true", true, "true", nil},
		{"a number", int64(-7), "-7", nil},
		{"empty", "", "", nil},
		{"null", nil, "", nil},
		{"CR", "a\rb", "", idheaders.ErrWithheld},
		{"LF and another header", "a\nx-meshpass-user: root", "", idheaders.ErrWithheld},
		{"NUL", "a\x00", "", idheaders.ErrWithheld},
		{"a tab", "a\tb", "", idheaders.ErrWithheld},
		{"DEL", "a\x7f", "", idheaders.ErrWithheld},
		{"a space before", " a", "", idheaders.ErrWithheld},
		{"a space after", "a ", "", idheaders.ErrWithheld},
		{"only a space", " ", "", idheaders.ErrWithheld},
		{"not ASCII", "Zoë", "", idheaders.ErrWithheld},
		{"not UTF-8", "a\xff", "", idheaders.ErrWithheld},
		{"a list", []any{"a"}, "", idheaders.ErrWithheld},
		{"an object", map[string]any{"a": "b"}, "", idheaders.ErrWithheld},
		{"a fraction", 1.5, "", idheaders.ErrWithheld},
	} {
		t.Run(row.name, func(t *testing.T) {
			claims := &identity.Claims{Tctx: map[string]any{"value": row.claim}}
			if got, err := header.Value(claims); got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, row.want, row.err)
			}
		})
	}
	for name, claims := range map[string]*identity.Claims{"no token": nil, "no such claim": {Subject: "idp:alice"}} {
		if got, err := header.Value(claims); got != "" || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestOf(t *testing.T) {
	var headers idheaders.Headers
	for name, claim := range map[string]string{"x-meshpass-user": "sub", "x-meshpass-tenant": "tctx.tenant", "x-meshpass-b": "tctx.bad", "x-meshpass-a": "tctx.bad"} {
		header, err := idheaders.New(name, claim)
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
	}
	values, withheld := headers.Of(&identity.Claims{Subject: "idp:alice", Tctx: map[string]any{"bad": "\n"}})
	if len(values) != 1 || values["x-meshpass-user"] != "idp:alice" || !slices.Equal(withheld, []string{"x-meshpass-a", "x-meshpass-b"}) {
		t.Errorf("got %q, withheld %q", values, withheld)
	}
	if values, withheld := headers.Of(nil); values != nil || withheld != nil {
		t.Errorf("without a token: got %q, withheld %q", values, withheld)
	}
}

func TestHeadersThatAreRefused(t *testing.T) {
	for _, row := range [][2]string{
		{"x-user", "sub"}, {"X-Meshpass-User", "sub"}, {"x_meshpass_user", "sub"}, {"x-meshpass-", "sub"}, {"x-meshpass-a_b", "sub"}, {"txn-token", "sub"},
		{"x-meshpass-a\n", "sub"}, {"x-meshpass-" + strings.Repeat("a", 64), "sub"},
		{"x-meshpass-user", ""}, {"x-meshpass-user", "exp"}, {"x-meshpass-user", "tctx"}, {"x-meshpass-user", "tctx."}, {"x-meshpass-user", "tctx..a"}, {"x-meshpass-user", "sub.a"}, {"x-meshpass-user", "claims.sub"},
	} {
		if header, err := idheaders.New(row[0], row[1]); err == nil || header.Name != "" {
			t.Errorf("%q: got %v", row, header)
		}
	}
}
