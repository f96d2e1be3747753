package main

import (
	"strings"
	"testing"
)

// A claim whose name differs from the provider's is logged and counted.
func TestMappedClaimNeverFound(t *testing.T) {
	p := startRig(t, "tenant: org_id", "tenant: organisation", "tenant: meta.tenant", "tenant: meta.tenants")
	for range 3 {
		for _, c := range []*call{jwtCall(), keyCall()} {
			r := c.request()
			requireSigned(t, p, r, p.callSignAndGuard(r))
		}
	}
	sample := func(mapping, claim, found string) string {
		return `meshpass_edge_mapped_claims_total{mapping="` + mapping + `",claim="` + claim + `",found="` + found + `"}`
	}
	p.requireSamples(t, map[string]string{
		sample("idp", "tctx.tenant", "true"): "0", sample("idp", "tctx.tenant", "false"): "3",
		sample("idp", "tctx.groups", "true"): "3", sample("idp", "tctx.groups", "false"): "0",
		sample("idp", "scope", "true"): "3", sample("idp", "scope", "false"): "0",
		sample("apiKeys", "tctx.tenant", "true"): "0", sample("apiKeys", "tctx.tenant", "false"): "3",
	})
	const said = "a mapped claim was not in the first credential"
	for _, want := range []string{"mapping=idp claim=tctx.tenant from=organisation", "mapping=apiKeys claim=tctx.tenant from=meta.tenants"} {
		if n := strings.Count(p.log.String(), want); n != 1 {
			t.Errorf("%s: logged %d times, want once\n%s", want, n, &p.log)
		}
	}
	if n := strings.Count(p.log.String(), said); n != 2 {
		t.Errorf("%d lines about mapped claims, want 2\n%s", n, &p.log)
	}
}

// A claim that only some callers have is not logged.
func TestOptionalClaimIsNotLogged(t *testing.T) {
	p := startRig(t)
	without := jwtCall()
	delete(without.claims, "org_id")
	for _, c := range []*call{jwtCall(), without} {
		r := c.request()
		requireSigned(t, p, r, p.callSignAndGuard(r))
	}
	if strings.Contains(p.log.String(), "a mapped claim") {
		t.Errorf("log: %s", &p.log)
	}
}

// Counts stay after a reload, unless the mapping itself has changed.
func TestMappedClaimsAcrossReloads(t *testing.T) {
	p := startRig(t)
	r := jwtCall().request()
	requireSigned(t, p, r, p.callSignAndGuard(r))
	text := strings.ReplaceAll(settingsText, "DIR", p.dir)
	p.writeFile(t, "meshpass.yaml", strings.ReplaceAll(text, "tenant: org_id", "tenant: organisation"))
	p.checkOnce()
	p.requireSamples(t, map[string]string{
		`meshpass_edge_mapped_claims_total{mapping="idp",claim="tctx.groups",found="true"}`: "1",
		`meshpass_edge_mapped_claims_total{mapping="idp",claim="tctx.tenant",found="true"}`: "0",
	})
}
