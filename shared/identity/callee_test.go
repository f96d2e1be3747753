package identity_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/identity"
)

func TestTargets(t *testing.T) {
	for _, text := range []string{"service/shop/orders", "service/shop/0", "gateway/ingress", "edge/Orders_1.2", "ns/shop/sa/orders", "spiffe://other.example/x"} {
		p, err := mesh.ParseTarget(text)
		if err != nil || string(p.Literal()) != text || !p.Match(identity.Workload(text)) || p.Match("") {
			t.Errorf("%s: got %v, %v", text, p, err)
		}
		if got, want := p.Literal().IsService(), strings.HasPrefix(text, "service/"); got != want {
			t.Errorf("%s: is a Service: %t", text, got)
		}
	}
	for _, text := range []string{
		"", "service/orders", "service/shop/*", "service/*/orders", "service/Shop/orders", "service/shop/orders/x", "service/shop/orders.x",
		"service//orders", "service/-shop/orders", "gateway/", "gateway/a/b", "gateway/*", "gateway/A", "spiffe://cluster.local/ns/shop/sa/x",
		"service/shop/" + strings.Repeat("a", 64), "edge/", "edge/a/b", "edge/*", "edge/-a", "edge/" + strings.Repeat("a", 129),
	} {
		if p, err := mesh.ParseTarget(text); err == nil || p != (identity.Pattern{}) {
			t.Errorf("%q: got %v, %v", text, p, err)
		}
	}
}

// A callee without a certificate is never a caller: no pattern of callers names it, and no
// certificate can.
func TestCalleesAreNoCallers(t *testing.T) {
	for _, text := range []string{"service/shop/orders", "gateway/ingress", "edge/orders"} {
		if p, err := mesh.ParsePattern(text); err == nil {
			t.Errorf("%s: got %v", text, p)
		}
		for _, id := range []string{text, "spiffe://" + text, "spiffe://cluster.local/" + text} {
			if w, err := mesh.ParseWorkload(id); string(w) == text {
				t.Errorf("%s: reads as %q, %v", id, w, err)
			}
		}
	}
}

func TestNamesOfCallees(t *testing.T) {
	if w, err := identity.ServiceCallee("shop", "orders"); w != "service/shop/orders" || err != nil {
		t.Errorf("got %q, %v", w, err)
	}
	if w, err := identity.ParseGateway("gateway/ingress"); w != "gateway/ingress" || err != nil {
		t.Errorf("got %q, %v", w, err)
	}
	for _, name := range []string{"", "Orders", "a/b", "a.b", "*"} {
		if w, err := identity.ServiceCallee("shop", name); err == nil {
			t.Errorf("service %q: got %q", name, w)
		}
		if w, err := identity.ServiceCallee(name, "orders"); err == nil {
			t.Errorf("namespace %q: got %q", name, w)
		}
		if w, err := identity.ParseGateway("gateway/" + name); err == nil {
			t.Errorf("gateway %q: got %q", name, w)
		}
	}
	if w, err := identity.EdgeCallee("Orders.1"); w != "edge/Orders.1" || err != nil || !w.IsEdge() {
		t.Errorf("got %q, %v", w, err)
	}
	for _, id := range []string{"", "a/b", "*", "a b", "-a"} {
		if w, err := identity.EdgeCallee(id); err == nil {
			t.Errorf("edge %q: got %q", id, w)
		}
	}
	if w, err := identity.ParseGateway("service/shop/orders"); err == nil {
		t.Errorf("a service as gateway: got %q", w)
	}
}
