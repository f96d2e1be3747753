package redact_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/redact"
)

// No part of a URL that may be a secret is written.
func TestURL(t *testing.T) {
	for text, want := range map[string]string{
		"http://orders.shop:8080/v1/":              "http://orders.shop:8080/v1/",
		"http://secret@orders.shop/":               "http://orders.shop/",
		"http://user:secret@orders.shop/":          "http://orders.shop/",
		"http://orders.shop/a?token=secret":        "http://orders.shop/a",
		"http://orders.shop/a#secret":              "http://orders.shop/a",
		"http://user:secret@orders.shop?secret":    "http://orders.shop",
		"http://user:secret@orders.shop:port/":     "(not a URL)",
		"user:secret@orders.shop":                  "user:(opaque)",
		"http://orders.shop/a%2Fb?x=secret#secret": "http://orders.shop/a%2Fb",
		"orders.shop/a?x=secret":                   "orders.shop/a",
		"":                                         "",
	} {
		if got := redact.URL(text); got != want || strings.Contains(got, "secret") {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}
