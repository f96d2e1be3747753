package services_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/shared/identity"
)

const shop = `
services:
  - {namespace: shop, name: orders, addresses: [10.96.0.7, "fd00::7"], ports: [8080, 9090]}
  - {namespace: shop, name: catalogue, addresses: ["::ffff:10.96.0.8"], ports: [8080]}
  - {namespace: billing, name: orders, addresses: [10.96.0.7], ports: [80]}
`

func TestFind(t *testing.T) {
	for _, text := range []string{shop, `{"services": [
		{"namespace": "shop", "name": "orders", "addresses": ["10.96.0.7", "fd00::7"], "ports": [8080, 9090]},
		{"namespace": "shop", "name": "catalogue", "addresses": ["10.96.0.8"], "ports": [8080]},
		{"namespace": "billing", "name": "orders", "addresses": ["10.96.0.7"], "ports": [80]}]}`} {
		table, err := services.Parse([]byte(text))
		if err != nil || table.Len() != 3 {
			t.Fatalf("got %v, %v", table, err)
		}
		for at, want := range map[string]identity.Workload{
			"10.96.0.7:8080": "service/shop/orders",
			"10.96.0.7:9090": "service/shop/orders",
			"[fd00::7]:8080": "service/shop/orders",
			"10.96.0.8:8080": "service/shop/catalogue",
			"10.96.0.7:80":   "service/billing/orders",
			"10.96.0.8:80":   "",
			"10.96.0.9:8080": "",
			"[fd00::8]:8080": "",
		} {
			if got := table.Find(netip.MustParseAddrPort(at)); got != want {
				t.Errorf("%s: got %q, want %q", at, got, want)
			}
		}
	}
	if got := (&services.Table{}).Find(netip.MustParseAddrPort("10.96.0.7:8080")); got != "" {
		t.Errorf("the zero table knows %q", got)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	entry := func(fields string) string { return "services:\n  - {namespace: shop, name: orders, " + fields + "}\n" }
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"half-written", "services:\n  - {namespace: shop", "2: a mapping that begins with { does not end: write }, or put its texts in quotes"},
		{"no list", "{}", "no services: every call would be denied"},
		{"an empty list", "services: []", "1:11: services is empty: remove it or give it a value"},
		{"unknown key", entry("addresses: [10.0.0.1], ports: [80], port: 80"), `2:73: unknown key "port" (did you mean "ports"?); known here: addresses, name, namespace, ports`},
		{"a Kubernetes list", "apiVersion: v1\nkind: List\nitems: [a]\n", `1:1: unknown key "apiVersion"; known here: services`},
		{"no address", entry("ports: [80]"), "2:5: service/shop/orders: give at least one address and one port; leave headless Services out"},
		{"no port", entry("addresses: [10.0.0.1]"), "2:5: service/shop/orders: give at least one address and one port; leave headless Services out"},
		{"headless", entry("addresses: [None], ports: [80]"), `2:49: "None" is not an address of a Service: write IPv4 or IPv6, without a port`},
		{"a port with the address", entry(`addresses: ["10.0.0.1:80"], ports: [80]`), `2:49: "10.0.0.1:80" is not an address of a Service: write IPv4 or IPv6, without a port`},
		{"a zone", entry(`addresses: ["fe80::1%eth0"], ports: [80]`), `2:49: "fe80::1%eth0" is not an address of a Service`},
		{"every address", entry("addresses: [0.0.0.0], ports: [80]"), `2:49: "0.0.0.0" is not an address of a Service`},
		{"port 0", entry("addresses: [10.0.0.1], ports: [0]"), "2:68: port 0: want 1 to 65535"},
		{"a port too high", entry("addresses: [10.0.0.1], ports: [65616]"), "2:68: port 65616: want 1 to 65535"},
		{"a port by name", entry("addresses: [10.0.0.1], ports: [http]"), `2:68: entry 1 of ports: want a whole number, not the text "http"`},
		{"a name that is none", strings.Replace(entry("addresses: [10.0.0.1], ports: [80]"), "orders", "Orders", 1), `2:5: namespace "shop", name "Orders": want DNS labels: lower-case letters, digits and -`},
		{"a namespace that leads elsewhere", strings.Replace(entry("addresses: [10.0.0.1], ports: [80]"), "shop", "shop/orders", 1), `2:5: namespace "shop/orders", name "orders": want DNS labels`},
		{"an address twice in one", entry("addresses: [10.0.0.1, 10.0.0.1], ports: [80]"), "2:78: 10.0.0.1:80 is taken by service/shop/orders"},
		{"a port twice", entry("addresses: [10.0.0.1], ports: [80, 80]"), "2:72: 10.0.0.1:80 is taken by service/shop/orders"},
		{"an address of two", shop + `  - {namespace: shop, name: forged, addresses: ["::ffff:10.96.0.7"], ports: [8080]}` + "\n", "6:78: 10.96.0.7:8080 is taken by service/shop/orders: an address and port belong to one Service"},
		{"a Service twice", shop + "  - {namespace: shop, name: orders, addresses: [10.0.0.1], ports: [80]}\n", "6:5: a second entry for service/shop/orders"},
	} {
		t.Run(row.name, func(t *testing.T) {
			table, err := services.Parse([]byte(row.text))
			if err == nil || !strings.HasPrefix(err.Error(), row.want) || table != nil {
				t.Errorf("got %v, want %s", err, row.want)
			}
		})
	}
}
