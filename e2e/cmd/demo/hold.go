package main

import (
	"context"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// holdOpen prints commands to try, and waits for Ctrl-C.
func holdOpen(ctx context.Context, mesh *localmesh.Mesh, p *printer) error {
	alice, err := mesh.AuthorizationHeader(ctx, "alice")
	if err != nil {
		return err
	}
	partner, err := mesh.AuthorizationHeader(ctx, "partner")
	if err != nil {
		return err
	}
	gateway := mesh.GatewayURL()
	p.printCommands(mesh.Dir(), []command{
		{"alice's order, with her token (valid for an hour)", "ALICE='Authorization: " + alice + "'\n" +
			"curl -i -H \"$ALICE\" " + gateway + "/jwt/tenants/acme/orders/1001"},
		{"another tenant's order", "curl -i -H \"$ALICE\" " + gateway + "/jwt/tenants/globex/orders/1001"},
		{"the partner's API key", "curl -i -H 'Authorization: " + partner + "' " + gateway + "/key/tenants/acme/orders/1001"},
		{"from a workload, through its sidecar, without a token", "curl -i -x " + mesh.EgressURL("inventory") +
			" http://orders.shop.svc.cluster.local:8080/tenants/acme/orders/1001"},
		{"the records of decisions", "tail -f " + mesh.Dir() + "/*.audit.log"},
	})
	<-ctx.Done()
	return nil
}
