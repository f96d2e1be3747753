package drills

import (
	"bytes"
	"os"
	"slices"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
)

// Envoy's filters run in this order, with each of Istio's policies at one
// workload: our answer, jwt_authn, DENY, ALLOW.
func TestOrder(t *testing.T) {
	policies := mustGet(os.ReadFile("testdata/ordering.yaml"))(t)
	keys := bytes.Join(bytes.Fields(tokentest.JWKS(t)), nil)
	r := newRig(t, rigSetup{
		envoys: []string{"inventory"},
		files:  map[string]string{"ordering.yaml": string(bytes.ReplaceAll(policies, []byte("KEYS"), keys))},
	})
	a := r.startAuthorizer(t, authorizerHost)
	for fact, row := range map[string]struct {
		path, token string
		want        string
		log         string
		records     []string
	}{
		"all allow it":                                     {"/tenants/acme/items/1", r.tokens.valid, "200", logOK, []string{"allow rule_allowed"}},
		"our allow does not bypass ALLOW":                  {"/tenants/acme/items/2", r.tokens.valid, byRBAC, "- rbac_access_denied_matched_policy[none]", []string{"allow rule_allowed"}},
		"DENY comes after our allow":                       {"/tenants/acme/items/denied", r.tokens.valid, byRBAC, "- rbac_access_denied_matched_policy[ns[shop]-policy[deny-some]-rule[0]]", []string{"allow rule_allowed"}},
		"our denial comes before DENY":                     {"/tenants/umbrella/items/denied", r.tokens.valid, "403 no_rule", "UAEX ext_authz_denied", []string{"deny no_rule"}},
		"we come before jwt_authn":                         {"/tenants/acme/items/1", r.tokens.forged, "403 signature_invalid", "UAEX ext_authz_denied", []string{"deny signature_invalid"}},
		"a request that no rule matches causes no Check":   {"/elsewhere", "", "200", logOK, nil},
		"a request without a Check is still authenticated": {"/elsewhere", r.tokens.forged, backstop.byKind[forgedToken], "- jwt_authn_access_denied{Jwt_verification_fails}", nil},
	} {
		t.Run(fact, func(t *testing.T) {
			got := r.mustSend(t, request{from: closed, to: "inventory", path: row.path, token: row.token})
			if got.String() != row.want {
				t.Errorf("answered %v, want %s", got, row.want)
			}
			if log := r.logOf(t, "inventory", got); log != row.log {
				t.Errorf("Envoy logs %q, want %q", log, row.log)
			}
			if records := a.decisionsAbout(t, got.id); !slices.Equal(records, row.records) {
				t.Errorf("records %q, want %q", records, row.records)
			}
		})
	}
}
