package policy_test

import (
	"fmt"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

func Example() {
	folder := source.Dir{Name: "shop", Files: fstest.MapFS{"orders.yaml": {Data: []byte(`
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules:
    - name: read-own-tenant
      effect: allow
      to: {methods: [GET], paths: ["/tenants/{tenant}/orders"]}
      scopes: [orders.read]
      when: claims.tctx.tenant == path.tenant
`)}}}
	set, err := source.Loader{}.Load(folder)
	if err != nil {
		fmt.Println(err)
		return
	}
	// A program verifies the request's token here. It is called only if a rule needs the token.
	authenticate := func() (*identity.Claims, decision.Reason) {
		return &identity.Claims{Subject: "okta:alice", Scope: "orders.read", Tctx: map[string]any{"tenant": "acme"}}, ""
	}
	for _, path := range []string{"/tenants/acme/orders", "/tenants/globex/orders"} {
		d := set.Decide(policy.Request{Callee: "ns/shop/sa/orders", Method: "GET", Path: path}, authenticate)
		fmt.Println(path, d.Allowed(), d.Reason, d.RuleName())
	}
	// Output:
	// /tenants/acme/orders true rule_allowed orders/read-own-tenant
	// /tenants/globex/orders false no_rule
}
