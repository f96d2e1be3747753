package decision_test

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
)

func Example() {
	d := decision.Deny(decision.RuleDenied).By("orders", "no-batch")
	fmt.Println(d, d.Reason, d.RuleName(), d.Reason.Class().Status())

	// An allow needs a reason that allows.
	fmt.Println(decision.Allow(decision.NoRule))
	fmt.Println(decision.Decision{})
	// Output:
	// deny rule_denied orders/no-batch 403
	// deny
	// deny
}

func ExampleParseShadow() {
	d, err := decision.ParseShadow("deny rule_denied shop/orders/no-batch")
	fmt.Println(d, d.Reason, d.Folder, d.Policy, d.Rule, err)

	_, err = decision.ParseShadow("allow rule_denied")
	fmt.Println(err)
	// Output:
	// deny rule_denied shop orders no-batch <nil>
	// shadow "allow rule_denied": the decision of the reason rule_denied is deny
}
