package identity_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestWorkload(t *testing.T) {
	mesh := identity.TrustDomains{Local: "cluster.local", Aliases: []string{"old.example"}}
	for _, row := range []struct{ id, want string }{
		{"", ""},
		{"spiffe://cluster.local/ns/shop/sa/orders", "ns/shop/sa/orders"},
		{"spiffe://old.example/ns/shop/sa/orders", "ns/shop/sa/orders"},
		{"spiffe://cluster.local/ns/shop/sa/or.ders_x", "ns/shop/sa/or.ders_x"},
		{"spiffe://evil.example/ns/shop/sa/orders", "spiffe://evil.example/ns/shop/sa/orders"},
		{"spiffe://cluster.local.evil/ns/shop/sa/orders", "spiffe://cluster.local.evil/ns/shop/sa/orders"},
		{"spiffe://cluster.local/vm/7", "spiffe://cluster.local/vm/7"},
		{"spiffe://cluster.local/ns/shop/sa/orders/x", "spiffe://cluster.local/ns/shop/sa/orders/x"},
		{"spiffe://cluster.local/NS/shop/sa/orders", "spiffe://cluster.local/NS/shop/sa/orders"},
	} {
		got, err := mesh.ParseWorkload(row.id)
		if err != nil || string(got) != row.want {
			t.Errorf("%s: got %q, %v; want %q", row.id, got, err, row.want)
		}
	}
	for _, id := range []string{
		"orders.shop.svc", "CN=orders,O=shop", "spiffe://", "spiffe://cluster.local", "spiffe://cluster.local/", "spiffe:///ns/shop/sa/orders",
		"SPIFFE://cluster.local/ns/shop/sa/orders", "spiffe://cluster.local/ns//sa/orders", "spiffe://cluster.local/ns/shop/sa/orders/",
		"spiffe://cluster.local/ns/shop/../sa/orders", "spiffe://cluster.local/ns/shop/sa/orders?x", "spiffe://cluster.local/ns/shop/sa/%6frders",
		"spiffe://user@cluster.local/ns/shop/sa/orders", "spiffe://cluster.local:443/ns/shop/sa/orders", " spiffe://cluster.local/ns/shop/sa/orders",
		"spiffe://cluster.local/ns/shop/sa/orders,spiffe://cluster.local/ns/a/sa/b", "ns/shop/sa/orders",
	} {
		if got, err := mesh.ParseWorkload(id); !errors.Is(err, identity.ErrNotSPIFFE) || got != "" {
			t.Errorf("%s: got %q, %v", id, got, err)
		}
	}
	if got, err := (identity.TrustDomains{}).ParseWorkload("spiffe:///ns/a/sa/b"); err == nil {
		t.Errorf("an unset trust domain is local: %q", got)
	}
}

// The expression matches exactly the names that IsReservedHeader reports. Envoy has names in lower case.
func TestReservedHeaderPattern(t *testing.T) {
	pattern := regexp.MustCompile(`(?s)^(?:` + identity.ReservedHeaderPattern + `)$`)
	names := []string{"", "x-meshpass-", "txn-tokens", "x-txn-token", "x--meshpass-user", "x-meshpas-s", "x-meshpass", "authorization", "x-meshpass-a b\n"}
	for c := range 128 {
		sign := string([]byte{byte(c)})
		names = append(names, "txn"+sign+"token", "x"+sign+"meshpass"+sign+"user", "x-meshpass"+sign, "x"+sign+"meshpass-user")
	}
	for _, name := range names {
		name = strings.ToLower(name)
		if got := pattern.MatchString(name); got != identity.IsReservedHeader(name) {
			t.Errorf("%q: the expression matches: %t, reserved: %t", name, got, !got)
		}
	}
}

func TestOurHeaders(t *testing.T) {
	for _, name := range []string{"Txn-Token", "txn-token", "TXN-TOKEN", "Txn_Token", "tXn_tOkEn", "X-Meshpass-User", "x_meshpass_user", "X-Meshpass_User", "x-meshpass-",
		"X.Meshpass.User", "X~Meshpass~User", "x-meshpass.user", "X|mEsHpAsS!", "Txn.Token", "txn~token", "x\xffmeshpass\x00user", "txn token"} {
		if !identity.IsReservedHeader(name) {
			t.Errorf("%q is not recognised", name)
		}
	}
	for c := range 256 {
		sign := string([]byte{byte(c)})
		separates := !strings.ContainsAny(sign, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
		for _, name := range []string{"Txn" + sign + "Token", "X" + sign + "Meshpass" + sign + "User", "x-meshpass" + sign, "x" + sign + "meshpass-user"} {
			if identity.IsReservedHeader(name) != separates {
				t.Errorf("%q: got %t", name, !separates)
			}
		}
	}
	for _, name := range []string{"", "Txn-Token2", "Txn-Token-", "TxnToken", "X-Txn-Token", "X-Meshpas", "X-Meshpass", "X--Meshpass-User", "Authorization", "Traceparent",
		"Txn-To\u212aen", "X\u00a0Meshpass-User"} {
		if identity.IsReservedHeader(name) {
			t.Errorf("%s is taken for ours", name)
		}
	}
}
