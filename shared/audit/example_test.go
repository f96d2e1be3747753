package audit_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
)

func Example() {
	log := audit.New(os.Stdout, audit.Options{})
	d := decision.Deny(decision.RuleDenied).By("orders", "no-batch")
	log.Record(audit.Record{
		Time: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Kind: audit.KindCheck, ID: "0197a1b2",
		Caller: "ns/edge/sa/tyk-gateway", Callee: "ns/shop/sa/orders", Method: "POST", Path: audit.Clip("/orders", audit.MaxPath),
		Decision: d.String(), Reason: string(d.Reason), Policy: d.Policy, Rule: d.Rule,
		Authenticated: true,
	})
	// Close writes the records that are still queued.
	if err := log.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// {"time":"2026-06-01T12:00:00Z","kind":"check","id":"0197a1b2","caller":"ns/edge/sa/tyk-gateway","callee":"ns/shop/sa/orders","method":"POST","path":"/orders","decision":"deny","reason":"rule_denied","policy":"orders","rule":"no-batch","duration_us":0}
}
