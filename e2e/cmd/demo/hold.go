package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
)

// part is a part of the text at the end: commands to try, each with what it shows.
type part struct {
	title    string
	commands []command
}

type command struct{ about, line string }

// suggestParts returns the commands to try. They use the variables of the file env. TestTextOfTheDemo runs them.
func suggestParts(root string) []part {
	const (
		ownOrder   = `curl -i -H "$ALICE" $GATEWAY/jwt/tenants/acme/orders/1001`
		otherOrder = `curl -i -H "$ALICE" $GATEWAY/jwt/tenants/globex/orders/1001`
		trace      = `meshpass trace $(tail -n 1 $DEMO/meshpass.audit.log | sed 's/.*"txn":"\([^"]*\)".*/\1/') -f $DEMO`
		explain    = "tail -n 1 $DEMO/meshpass.audit.log | meshpass policy explain $DEMO/policies --record -"
	)
	return []part{
		{"See", []command{
			{"alice reads an order of her tenant acme: 200", ownOrder},
			{"a partner with an API key, through the same policies: 200", `curl -i -H "$PARTNER" $GATEWAY/key/tenants/acme/orders/1001`},
			{"a workload without a user's token, through its sidecar: 403 token_missing", "curl -i -x $INVENTORY http://orders.shop.svc.cluster.local:8080/tenants/acme/orders/1001"},
			{"alice asks for an order of another tenant: 403 no_rule", otherOrder},
			{"the way of that request through gateway and mesh, by its transaction, from all logs", trace},
			{"which condition of which rule denied that, by its audit record", explain},
			{"what the authorizer runs", "meshpass status $OPS"},
		}},
		{"Edit a policy. A change is active within a second", []command{
			{"remove the condition that compares the tenants in the policy of orders", "sed -i '/when:/d' $DEMO/policies/orders.yaml"},
			{"now orders allows the request, and the next hop, inventory, denies it: 403, refused_by inventory", otherOrder},
			{"the condition of inventory's policy that denied it", explain},
		}},
		{"Break it", []command{
			{"a mistake in the file", "sed -i 's/scopes:/scopess:/' $DEMO/policies/orders.yaml"},
			{"the mistake, with its line and column; the last good version stays active", "meshpass status $OPS"},
			{"requests are answered as before: 200", ownOrder},
		}},
		{"Fix it", []command{
			{"the policy as it was", "cp " + filepath.Join(root, "manifests", "policies", "orders.yaml") + " $DEMO/policies/"},
			{"its tests, without a running authorizer", "meshpass policy test $DEMO/policies"},
			{"no problem is left", "meshpass status $OPS"},
		}},
	}
}

// holdOpen prints commands to try, and waits for Ctrl-C.
func holdOpen(ctx context.Context, mesh *localmesh.Mesh, keepDir bool, p *printer) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	if err := writeVariables(ctx, mesh); err != nil {
		return err
	}
	p.printParts(mesh.Dir(), suggestParts(root), keepDir)
	<-ctx.Done()
	return nil
}

// writeVariables writes the file env, which a shell reads. It holds credentials of the demo.
func writeVariables(ctx context.Context, mesh *localmesh.Mesh) error {
	bin, err := repo.BinDir()
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`# Variables of the running demo: . %[1]s/env
export DEMO='%[1]s' PATH='%[2]s':"$PATH"
export GATEWAY=%[3]s OPS=%[4]s INVENTORY=%[5]s
# Headers with credentials. Those of users are valid for an hour.
`, mesh.Dir(), bin, mesh.GatewayURL(), mesh.OpsURL(), mesh.EgressURL("inventory"))
	for _, name := range []string{"alice", "bob", "carol", "dan", "partner"} {
		credential, err := mesh.AuthorizationHeader(ctx, name)
		if err != nil {
			return err
		}
		text += fmt.Sprintf("export %s='Authorization: %s'\n", strings.ToUpper(name), credential)
	}
	return os.WriteFile(filepath.Join(mesh.Dir(), "env"), []byte(text), 0o600)
}
