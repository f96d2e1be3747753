package identity_test

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/identity"
)

// The certificate of a caller, and the pattern of a rule.
func Example() {
	mesh := identity.TrustDomains{Local: "cluster.local"}
	caller, err := mesh.ParseWorkload("spiffe://cluster.local/ns/shop/sa/orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	pattern, err := mesh.ParsePattern("ns/shop/sa/*")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(caller, pattern.Match(caller))

	partner, err := mesh.ParseWorkload("spiffe://partner.example/ns/shop/sa/orders")
	fmt.Println(partner, pattern.Match(partner), err)

	_, err = mesh.ParseWorkload("orders.shop.svc")
	fmt.Println(err)
	// Output:
	// ns/shop/sa/orders true
	// spiffe://partner.example/ns/shop/sa/orders false <nil>
	// not a SPIFFE id: "orders.shop.svc"
}

func ExampleIsReservedHeader() {
	for _, name := range []string{"Txn-Token", "X_Meshpass_User", "X-Request-Id"} {
		fmt.Println(name, identity.IsReservedHeader(name))
	}
	// Output:
	// Txn-Token true
	// X_Meshpass_User true
	// X-Request-Id false
}
