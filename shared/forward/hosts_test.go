package forward_test

import (
	"testing"

	"github.com/meshpass/meshpass/shared/forward"
)

func TestHosts(t *testing.T) {
	hosts, err := forward.ParseHosts("orders.shop.svc.cluster.local", "*.svc.cluster.local", "10.0.0.7", "fd00::7", "inventory")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"orders.shop.svc.cluster.local":       true,
		"orders.shop.svc.cluster.local:8080":  true,
		"Orders.Shop.SVC.cluster.local.":      true,
		"orders.shop.svc.cluster.local.:8080": true,
		"a.b.c.svc.cluster.local":             true,
		"inventory":                           true,
		"10.0.0.7:80":                         true,
		"[fd00::7]:80":                        true,
		"[fd00::7]":                           true,
		"[fd00:0:0::7]":                       true,

		"":                                       false,
		"svc.cluster.local":                      false,
		".svc.cluster.local":                     false,
		"evilsvc.cluster.local":                  false,
		"orders.svc.cluster.local.evil.com":      false,
		"evil.com#.svc.cluster.local":            false,
		"evil.com@orders.svc.cluster.local":      false,
		"evil.com%2f.svc.cluster.local":          false,
		"evil.com/.svc.cluster.local":            false,
		"inventory.evil.com":                     false,
		"10.0.0.70":                              false,
		"::ffff:10.0.0.8":                        false,
		"orders.shop.svc.cluster.local:80:8080":  false,
		"orders.shop.svc.cluster.local\x00":      false,
		"orders.shop.svc.cluster.local evil.com": false,
	} {
		if got := hosts.Contain(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
	if (forward.Hosts{}).Contain("inventory") {
		t.Error("the zero value contains a host")
	}
}

func TestHostsThatAreRefused(t *testing.T) {
	for _, pattern := range []string{"", "*", "*.", ".svc", "a..b", "Orders", "orders:8080", "http://orders", "a.*.b", "*.10.0.0.7", "**.b", "a b", "ü.de", "*.*.local"} {
		if _, err := forward.ParseHosts("inventory", pattern); err == nil {
			t.Errorf("%q was admitted", pattern)
		}
	}
}
