package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// Each name that an expression may use, and expressions that cannot be decided.
func TestExpressions(t *testing.T) {
	claims := &identity.Claims{
		Issuer: "https://i", Audience: "aud.example", Subject: "idp:alice", Txn: "t-1", Scope: "a b", Requester: "ns/edge/sa/tyk-gateway",
		Tctx: map[string]any{"tenant": "acme", "level": int64(3), "groups": []any{"x", "y"}, "api": map[string]any{"id": "orders"}, "flag": true},
		Rctx: map[string]any{"ip": "192.0.2.1", "auth_time": noon.Add(-time.Minute).Unix()},
	}
	r := request(headers("x-region", "eu"), path("/t/a%20b"))
	const yes, no, undecided = "allow rule_allowed", "deny no_rule", "deny condition_error"
	for _, row := range []struct{ expression, want string }{
		{`claims.iss == "https://i" && claims.aud == "aud.example" && claims.sub == "idp:alice" && claims.txn == "t-1"`, yes},
		{`claims.scope == "a b" && claims.req_wl == "ns/edge/sa/tyk-gateway" && claims.req_wl == caller`, yes},
		{`claims.tctx.tenant == "acme" && claims.tctx["tenant"] == "acme" && claims.tctx.api.id == "orders"`, yes},
		{`claims.tctx.level > 2 && claims.tctx.flag == true`, yes},
		{`claims.tctx.level > "2"`, undecided},
		{`claims.tctx.level == "3"`, no},
		{`"x" in claims.tctx.groups && !("z" in claims.tctx.groups)`, yes},
		{`claims.tctx.groups.exists(g, g.startsWith("y"))`, yes},
		{`claims.tctx.groups.all(g, g in ["x", "y", path.name])`, yes},
		{`has(claims.tctx.missing) && claims.tctx.missing == 1`, no},
		{`claims.tctx.missing == 1`, undecided},
		{`claims.tctx.missing == 1 || claims.tctx.flag == true`, yes},
		{`claims.tctx.missing == 1 && claims.tctx.flag == false`, no},
		{`now - timestamp(claims.rctx.auth_time) < duration("5m")`, yes},
		{`now.getHours("UTC") >= 9 && now.getHours("UTC") < 18`, yes},
		{`now > timestamp("2027-01-01T00:00:00Z")`, no},
		{`caller.startsWith("ns/edge/") && callee == "ns/shop/sa/orders"`, yes},
		{`path.name == "a b" && request.path == "/t/a%20b"`, yes},
		{`request.method == "GET" && request.host == "orders.shop" && request.port == 8080`, yes},
		{`request.headers["x-region"] in {"eu": 1, "us": 2}`, yes},
		{`request.headers["x-missing"] == "a"`, undecided},
		{`"x-missing" in request.headers`, no},
		{`(claims.tctx.flag == true ? [1, 2] : [3])[0] == 1`, yes},
		{`size(claims.tctx.groups) == 2 && path.name.matches("^a.b$")`, yes},
		{`1 / (claims.tctx.level - 3) > 0`, undecided},
		{`claims.tctx.groups[7] == "x"`, undecided},
		{`claims.tctx.groups.map(a, claims.tctx.groups.map(b, a + b)).size() == 2`, yes},
	} {
		set := load(t, head+"  rules: [{name: r, effect: allow, to: {paths: ['/t/{name}']}, when: '"+row.expression+"'}]")
		r.Path = "/t/a%20b"
		if got := strings.TrimSuffix(describe(set.Decide(r, verified(claims))), " p/r"); got != row.want {
			t.Errorf("%s: got %s, want %s", row.expression, got, row.want)
		}
		if got := strings.TrimSuffix(describe(load(t, head+"  identity: optional\n  rules: [{name: r, effect: allow, to: {paths: ['/t/{name}']}, when: '"+row.expression+"'}]").Decide(r, missing)), " p/r"); got == yes && strings.Contains(row.expression, "claims") {
			t.Errorf("%s: without a token: got %s", row.expression, got)
		}
	}
}

func TestExpressionsThatAreRefused(t *testing.T) {
	for expression, want := range map[string]string{
		`path == {}`:                          "path is used as a whole: name the capture, as in path.tenant",
		`request.headers[claims.sub] == "a"`:  "request.headers is used as a whole",
		`claims == 1`:                         "claims is used as a whole",
		`request.query == "a"`:                "a request has method, path, host, port, headers",
		`request.body.size() > 0`:             "a request has method, path, host, port, headers",
		`now() > timestamp("2026-01-01")`:     "there is no function now()",
		`claims.sub`:                          "its type is string, not bool",
		`request.host.matches("(")`:           "invalid matches argument",
		`now > timestamp("yesterday")`:        "invalid timestamp argument",
		`http.get("https://x") == "a"`:        "http is not known",
		`"cookie" in request.headers`:         `header "cookie" may not be read`,
		`request.headers["txn-token"] == "x"`: `header "txn-token" may not be read`,
		`claims.tctx.a == 1 && claims.sub`:    "expected type 'bool' but found 'string'",
	} {
		_, err := (source.Loader{}).Load(files(head + "  rules: [{name: r, effect: allow, when: '" + expression + "'}]\n"))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", expression, err, want)
		}
	}
}

// A regular expression reads only as much text as it can in a bounded time. A longer text
// is undecided: no allow rule matches, and every deny rule denies.
func TestRegularExpressionsAreBounded(t *testing.T) {
	const (
		large  = `"(?i)(scan|crawl|bot).{0,250}(probe|fuzz|sql).{0,250}$"`
		header = `request.headers["x-text"].matches(`
	)
	several := header + large + ")" + strings.Repeat(" || "+header+strings.Replace(large, "$", "!", 1)+")", 9)
	for _, row := range []struct {
		when        string
		length      int
		allow, deny string // of a rule with this effect
	}{
		{header + `"^a+$")`, 4096, "allow rule_allowed", "deny rule_denied"},
		{header + `"^a+$")`, 4097, "deny condition_error", "deny condition_error"},
		{`!` + header + `"^b+$")`, 4096, "allow rule_allowed", "deny rule_denied"},
		{`!` + header + `"^b+$")`, 60_000, "deny condition_error", "deny condition_error"},
		{`matches(request.headers["x-text"], "^a+$")`, 60_000, "deny condition_error", "deny condition_error"},
		{header + large + `)`, 400, "deny no_rule", "allow rule_allowed"},
		{header + large + `)`, 600, "deny condition_error", "deny condition_error"},
		{header + large + `)`, 50_004, "deny condition_error", "deny condition_error"},
		{`request.method == "GET" || ` + header + large + `)`, 50_004, "allow rule_allowed", "deny rule_denied"},
		{several, 40, "deny no_rule", "allow rule_allowed"},
		{several, 400, "deny condition_error", "deny condition_error"},
		{`claims.tctx.groups.exists(g, g.matches("^x{0,100}$"))`, 0, "deny no_rule", "allow rule_allowed"},
		{`claims.tctx.groups.exists(g, g.matches("(.{0,30}){30}y"))`, 0, "deny condition_error", "deny condition_error"},
		{`claims.tctx.level.matches("^a")`, 0, "deny condition_error", "deny condition_error"},
	} {
		groups := make([]any, 100)
		for i := range groups {
			groups[i] = fmt.Sprintf("group-%03d", i)
		}
		claims := &identity.Claims{Subject: "idp:alice", Tctx: map[string]any{"groups": groups, "level": int64(1)}}
		r := request(headers("x-text", strings.Repeat("a", row.length)))
		for effect, want := range map[string]string{"allow": row.allow, "deny": row.deny} {
			rest := ""
			if effect == "deny" {
				rest = "\n  - {name: rest, effect: allow}"
			}
			set := load(t, head+"  rules:\n  - {name: r, effect: "+effect+", when: '"+row.when+"'}"+rest)
			got, _, _ := strings.Cut(describe(set.Decide(r, verified(claims))), " p/")
			if got != want {
				t.Errorf("%s of %.80s and %d bytes: got %s, want %s", effect, row.when, row.length, got, want)
			}
		}
	}
}

// Patterns whose program would be large are rejected before they are compiled.
func TestPatternsThatAreTooLarge(t *testing.T) {
	for _, row := range []struct{ pattern, want string }{
		{`(abcdefghij){1000}`, "at most 8192: shorten its counted repeats"},
		{`((abcdefghij){30}){30}`, "at most 8192"},
		{`(\\pL{1000}\\pN{1000}){1}(.{1000}.{1000}.{1000}.{1000}.{1000}.{1000}.{1000})`, "at most 8192"},
		{`(a{1000}){1000}`, "invalid matches argument"},
		{`(`, "invalid matches argument: error parsing regexp: missing closing )"},
	} {
		_, err := (source.Loader{}).Load(files(head + "  rules: [{name: r, effect: allow, when: 'claims.sub.matches(\"" + row.pattern + "\")'}]\n"))
		if err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: got %v, want %s", row.pattern, err, row.want)
		}
	}
}

// A shadow rule cannot change the decision, even by a panic.
func TestAPanicInShadow(t *testing.T) {
	set := load(t, strings.Replace(orders, "spec:", "spec:\n  mode: shadow", 1))
	d := set.Decide(request(), func() (*identity.Claims, decision.Reason) { panic("no token can do this") })
	if got, want := chain(d), "deny unguarded < deny panic"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDocumentsAreListed(t *testing.T) {
	rails, rest := files(guardrails), files(strings.Replace(public, "spec:", "spec:\n  mode: shadow", 1))
	rails.Guardrail, rest.Name = true, "rest"
	set, err := (source.Loader{}).Load(rails, rest)
	if err != nil {
		t.Fatal(err)
	}
	want := "[{catalogue rest rest/0.yaml shadow optional deny false} {guardrails  0.yaml enforce optional allow true}]"
	if got := fmt.Sprint(set.Documents()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
