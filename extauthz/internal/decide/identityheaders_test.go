package decide

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestIdentityHeaderValues(t *testing.T) {
	header, err := NewIdentityHeader("x-meshpass-value", "tctx.value")
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
		{"CR", "a\rb", "", errWithheld},
		{"LF and another header", "a\nx-meshpass-user: root", "", errWithheld},
		{"NUL", "a\x00", "", errWithheld},
		{"a tab", "a\tb", "", errWithheld},
		{"DEL", "a\x7f", "", errWithheld},
		{"a space before", " a", "", errWithheld},
		{"a space after", "a ", "", errWithheld},
		{"only a space", " ", "", errWithheld},
		{"not ASCII", "Zoë", "", errWithheld},
		{"not UTF-8", "a\xff", "", errWithheld},
		{"a list", []any{"a"}, "", errWithheld},
		{"an object", map[string]any{"a": "b"}, "", errWithheld},
		{"a fraction", 1.5, "", errWithheld},
	} {
		t.Run(row.name, func(t *testing.T) {
			claims := &identity.Claims{Tctx: map[string]any{"value": row.claim}}
			if got, err := header.valueOf(claims); got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, row.want, row.err)
			}
		})
	}
	for name, claims := range map[string]*identity.Claims{"no token": nil, "no such claim": {Subject: "idp:alice"}} {
		if got, err := header.valueOf(claims); got != "" || err != nil {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

func TestIdentityHeadersOfClaims(t *testing.T) {
	var headers IdentityHeaders
	for name, claim := range map[string]string{"x-meshpass-user": "sub", "x-meshpass-tenant": "tctx.tenant", "x-meshpass-b": "tctx.bad", "x-meshpass-a": "tctx.bad"} {
		header, err := NewIdentityHeader(name, claim)
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, header)
	}
	set, withheld := headers.fieldsOf(&identity.Claims{Subject: "idp:alice", Tctx: map[string]any{"bad": "\n"}})
	if !slices.Equal(set, []Field{{"x-meshpass-user", "idp:alice"}}) || !slices.Equal(withheld, []string{"x-meshpass-a", "x-meshpass-b"}) {
		t.Errorf("got %q, withheld %q", set, withheld)
	}
	if set, withheld := headers.fieldsOf(nil); set != nil || withheld != nil {
		t.Errorf("without a token: got %q, withheld %q", set, withheld)
	}
}

func TestInvalidIdentityHeaders(t *testing.T) {
	for _, row := range [][2]string{
		{"x-user", "sub"}, {"X-Meshpass-User", "sub"}, {"x_meshpass_user", "sub"}, {"x-meshpass-", "sub"}, {"x-meshpass-a_b", "sub"}, {"txn-token", "sub"},
		{"x-meshpass-a\n", "sub"}, {"x-meshpass-" + strings.Repeat("a", 64), "sub"},
		{"x-meshpass-user", ""}, {"x-meshpass-user", "exp"}, {"x-meshpass-user", "tctx"}, {"x-meshpass-user", "tctx."}, {"x-meshpass-user", "tctx..a"}, {"x-meshpass-user", "sub.a"}, {"x-meshpass-user", "claims.sub"},
	} {
		if header, err := NewIdentityHeader(row[0], row[1]); err == nil || header.Name != "" {
			t.Errorf("%q: got %v", row, header)
		}
	}
}
