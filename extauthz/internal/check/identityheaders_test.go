package check_test

import (
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// Every allowed request gets the configured headers from its verified token, or does not have
// them at all: forged ones are removed, also on public paths.
func TestIdentityHeaders(t *testing.T) {
	h := newHop(t, func(c *check.Config) {
		for _, pair := range [][2]string{{"x-meshpass-note", "tctx.note"}, {"x-meshpass-tenant", "tctx.tenant"}, {"x-meshpass-user", "sub"}} {
			header, err := decide.NewIdentityHeader(pair[0], pair[1])
			if err != nil {
				t.Fatal(err)
			}
			c.Decide.IdentityHeaders = append(c.Decide.IdentityHeaders, header)
		}
	})
	const (
		alice    = "x-meshpass-tenant: acme\nx-meshpass-user: idp:alice\n"
		absent   = "x-meshpass-note x_meshpass_note x_meshpass_tenant x_meshpass_user"
		nothing  = "x-meshpass-note x-meshpass-tenant x-meshpass-user x_meshpass_note x_meshpass_tenant x_meshpass_user"
		withheld = "x-meshpass-note"
	)
	forged := setHeaders("x-meshpass-user", "root", "x_meshpass_user", "root", "x-meshpass-other", "a")
	note := func(value any) func(*auth.CheckRequest) {
		id := tokentest.Identity()
		id.Claims["note"] = value
		raw, _, err := tokentest.NewMinter(t, now).Mint(id)
		if err != nil {
			t.Fatal(err)
		}
		return setHeaders("txn-token", raw)
	}
	for _, row := range []struct {
		name          string
		change        func(*auth.CheckRequest)
		set, removed  string
		withheld      string
		refusedStatus int
	}{
		{name: "a verified token", set: alice, removed: absent},
		{name: "beside forged ones", change: forged, set: alice, removed: "x-meshpass-note x-meshpass-other x_meshpass_note x_meshpass_tenant x_meshpass_user"},
		{name: "forged in capitals", change: setHeaders("X-Meshpass-User", "root"), set: alice, removed: absent},
		{name: "forged with mixed separators", change: setHeaders("x-meshpass_user", "root"), set: alice, removed: "x-meshpass-note x-meshpass_user x_meshpass_note x_meshpass_tenant x_meshpass_user"},
		{name: "forged with other separators", change: setHeaders("x.meshpass.user", "root", "x~meshpass~user", "root", "X|Meshpass-Note", "root", "txn.token", "junk"), set: alice,
			removed: "X|Meshpass-Note txn.token x-meshpass-note x.meshpass.user x_meshpass_note x_meshpass_tenant x_meshpass_user x~meshpass~user"},
		{name: "a public path, with a token that nobody verified", change: setPath("/healthz"), removed: "txn-token " + nothing},
		{name: "a public path, forged", change: applyAll(setPath("/healthz"), forged), removed: "txn-token x-meshpass-note x-meshpass-other x-meshpass-tenant x-meshpass-user x_meshpass_note x_meshpass_tenant x_meshpass_user"},
		{name: "anonymous", change: applyAll(toPrincipal(catalogue), setPath("/items/7"), withoutHeader("txn-token"), forged), removed: "x-meshpass-note x-meshpass-other x-meshpass-tenant x-meshpass-user x_meshpass_note x_meshpass_tenant x_meshpass_user"},
		{name: "a claim that is a list", change: note([]string{"a", "b"}), set: alice, removed: absent, withheld: withheld},
		{name: "a claim with a line break", change: note("a\r\nx-meshpass-user: root"), set: alice, removed: absent, withheld: withheld},
		{name: "a claim that fits", change: note("fine"), set: "x-meshpass-note: fine\n" + alice, removed: "x_meshpass_note x_meshpass_tenant x_meshpass_user"},
		{name: "a refusal sets nothing", change: applyAll(forged, setPath("/tenants/umbrella/orders/7")), refusedStatus: 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			answer := h.sendCheck(t, row.change)
			ok := answer.GetOkResponse()
			if status := int(answer.GetDeniedResponse().GetStatus().GetCode()); status != row.refusedStatus {
				t.Fatalf("refused with %d", status)
			}
			if got := formatHeaders(ok.GetHeaders()); got != row.set {
				t.Errorf("set: got %s, want %s", got, row.set)
			}
			if got := strings.Join(ok.GetHeadersToRemove(), " "); got != row.removed {
				t.Errorf("removed: got %s, want %s", got, row.removed)
			}
			names, _ := h.takeRecord(t)["withheld"].([]any)
			if got := len(names); got != strings.Count(row.withheld, "x-") || got == 1 && names[0] != row.withheld {
				t.Errorf("withheld: got %v, want %s", names, row.withheld)
			}
		})
	}
}
