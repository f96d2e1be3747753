package policy_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/policy/source"
)

// Each message names the mistake, and explains what to write.
func TestMessagesOfExpressions(t *testing.T) {
	const claims = "; other claims are iss, aud, sub, txn, scope, req_wl, tctx, rctx"
	for _, row := range []struct{ when, want string }{
		{"claims.tenant == 'a'", "claims.tenant is not known: write claims.tctx.tenant for what gateways add" + claims + " (character 1)"},
		{"claims.groups.exists(g, g == 'x')", "claims.groups is not known: write claims.tctx.groups for what gateways add" + claims + " (character 1)"},
		{"has(claims.tenant)", "claims.tenant is not known: write claims.tctx.tenant for what gateways add" + claims + " (character 5)"},
		{"claims.sup == 'a'", "claims.sup is not known: write claims.sub, or claims.tctx.sup for what gateways add (character 1)"},
		{"claims['sub'] == 'a'", "claims is used as a whole: name the claim, as in claims.sub or claims.tctx.tenant (character 1)"},
		{"request.auth.claims['x'] == 'a'", "request.auth is not known: a request has method, path, host, port, headers (character 1)"},
		{"request.methd == 'GET'", `request.methd is not known (did you mean "method"?): a request has method, path, host, port, headers (character 1)`},
		{"jwt.claims.x == 1", "jwt is not known: the token's claims are claims.sub, claims.scope and claims.tctx.NAME, the calling workload is caller (character 1)"},
		{"callr == 'x'", `callr is not known (did you mean "caller"?): names are caller, callee, claims, now, path, request (character 1)`},
		{"claims.sub.startswith('a')", `there is no function startswith() (did you mean "startsWith"?) (character 22)`},
		{"claims.sub = 'b'", "= is no operator: write == to compare (character 12)"},
		{"claims.sub == 'a' and true", "and is no operator: write && (character 19)"},
		{"claims.sub == 'a' & true", "& is no operator: write && (character 19)"},
		{"not true", "not is no operator: write ! (character 5)"},
		{"claims.sub == 1", "== cannot compare string with int: write both as the same type, texts in quotes (character 12)"},
		{"path == 'x'", "== compares a whole mapping: name the member, as in path.tenant (character 6)"},
		{"'a' in claims.scope", `in looks for an entry of a list: in a text write TEXT.contains("…"); list scopes under scopes (character 5)`},
		{"claims.sub == ", "the expression ends too early: something is missing at its end (character 15)"},
		{"size(claims.sub", "a bracket is not closed: write ) (character 16)"},
		{"claims.tctx.my-claim == 'a'", `a name with - is written in brackets: write claims.tctx["my-claim"] (character 16)`},
		{"request.headers.x-foo-bar == 'a'", `a name with - is written in brackets: write request.headers["x-foo-bar"] (character 19)` + "\n" + `a name with - is written in brackets: write request.headers["x-foo-bar"] (character 23)`},
		{"now.hour > 8", `a timestamp has no members: write now.getHours("UTC"), or compare it, as in now < timestamp("2026-06-01T12:00:00Z") (character 4)`},
		{"now > '2026-01-01'", `> compares a timestamp with a text: write timestamp("2026-06-01T12:00:00Z") (character 5)`},
		{"if claims.sub == 'a' then true", "there is no if: write CONDITION ? VALUE : OTHER (character 1)"},
		{"claims.sub == ‘a’", `a typographic quote: write " or ' (character 15)`},
		{"${X} == 1", "$ has no meaning here: nothing is replaced in a document (character 1)"},
		{"len(claims.tctx.l) > 1", "there is no function len(): write size(LIST) (character 4)"},
		{"claims.tctx.tenant", "its type is dyn, not bool: compare the value, as in claims.tctx.admin == true"},
	} {
		_, err := (source.Loader{}).Load(files(head + "  rules:\n  - name: r\n    effect: allow\n    when: >-\n      " + row.when + "\n"))
		if err == nil {
			t.Errorf("%s: loaded", row.when)
			continue
		}
		if _, got, _ := strings.Cut(err.Error(), "when: "); got != row.want {
			t.Errorf("%s: got\n%s\nwant\n%s", row.when, got, row.want)
		}
	}
}
