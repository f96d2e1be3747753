package expr_test

import (
	"reflect"
	"testing"

	"github.com/meshpass/meshpass/shared/policy/expr"
)

// Constants are found in every part of an expression, on either side of a comparison.
func TestConstants(t *testing.T) {
	for text, want := range map[string][]expr.Constant{
		`caller == "ns/a/sa/b"`:                           {{Name: "caller", Text: "ns/a/sa/b"}},
		`"ns/a/sa/b" != caller`:                           {{Name: "caller", Text: "ns/a/sa/b"}},
		`claims.sub.startsWith("okta:")`:                  {{Name: "claims.sub", Text: "okta:", Prefix: true}},
		`claims.tctx.plan in ["gold", "free"]`:            {{Name: "claims.tctx.plan", Text: "gold"}, {Name: "claims.tctx.plan", Text: "free"}},
		`claims.tctx["plan"] == "gold"`:                   {{Name: "claims.tctx.plan", Text: "gold"}},
		`!(request.port == 8080 || claims.iss == "x")`:    {{Name: "request.port", Text: "8080"}, {Name: "claims.iss", Text: "x"}},
		`"admin" in claims.tctx.roles`:                    nil,
		`claims.tctx.tenant == path.tenant`:               nil,
		`claims.tctx.admin == true && has(claims.tctx.a)`: nil,
	} {
		e, err := expr.Compile(text)
		if err != nil {
			t.Errorf("%s: %s", text, err)
			continue
		}
		if got := e.Constants(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", text, got, want)
		}
	}
}
