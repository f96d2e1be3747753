package app

import "testing"

// The workload behind an allowed request gets the headers of the file.
func TestIdentityHeadersAreConfigured(t *testing.T) {
	f := newFiles(t, oneListener+"identityHeaders: {x-meshpass-user: sub, x-meshpass-tenant: tctx.tenant}")
	answer, err := startAsked(t, f).Check(t.Context(), order(t, gateway))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, option := range answer.GetOkResponse().GetHeaders() {
		got[option.GetHeader().GetKey()] = option.GetHeader().GetValue()
	}
	if len(got) != 2 || got["x-meshpass-user"] != "idp:alice" || got["x-meshpass-tenant"] != "acme" {
		t.Errorf("got %q", got)
	}
}
