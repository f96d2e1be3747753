package check_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// The access log of Envoy can name every decision, with the id of its audit record.
func TestMetadata(t *testing.T) {
	const user = " sub=idp:alice txn=" + txn
	h := newHop(t)
	for _, row := range []struct {
		name   string
		change func(*auth.CheckRequest)
		want   string
	}{
		{"allow", nil, "folder=policies policy=orders reason=rule_allowed rule=read-own-tenant" + user},
		{"public", setPath("/healthz"), "folder=policies policy=orders reason=public rule=public[0]"},
		{"the rules deny", setPath("/tenants/umbrella/orders/7"), "reason=no_rule" + user},
		{"a bad token", setHeaders("txn-token", "junk"), "reason=token_format"},
		{"no HTTP", emptyCheck, "reason=no_http"},
	} {
		t.Run(row.name, func(t *testing.T) {
			answer := h.sendCheck(t, row.change)
			if got, want := metadataOf(answer), fmt.Sprintf("decision_id=%s %s", h.takeRecord(t)["id"], row.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// Only a trusted signer can write this text. The verifier rejects control characters and
// lone surrogates, and the remaining text arrives unchanged.
func TestMetadataOfStrangeSubjects(t *testing.T) {
	h := newHop(t)
	for _, subject := range []string{"idp:é\u2028", `idp:"\%00`, "idp:\U0001f600", "idp: a:b "} {
		parts := tokentest.ValidParts(t, now)
		parts.Claims["sub"] = subject
		answer := h.sendCheck(t, setHeaders("txn-token", parts.Sign(t)))
		if got := answer.GetDynamicMetadata().GetFields()["sub"].GetStringValue(); got != subject {
			t.Errorf("got %q, want %q", got, subject)
		}
	}
}

// metadataOf gives the dynamic metadata as "name=value", in order.
func metadataOf(answer *auth.CheckResponse) string {
	var all []string
	fields := answer.GetDynamicMetadata().GetFields()
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		all = append(all, name+"="+fields[name].GetStringValue())
	}
	return strings.Join(all, " ")
}
