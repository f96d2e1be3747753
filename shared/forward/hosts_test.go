package forward_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/forward"
)

func TestHosts(t *testing.T) {
	mesh := []string{"*.svc.cluster.local"}
	rows := []struct {
		name    string
		entries []string
		target  string
		admits  bool
	}{
		{"a name below", mesh, "http://orders.shop.svc.cluster.local:8080/x", true},
		{"in capitals", mesh, "http://Orders.Shop.SVC.cluster.local", true},
		{"with the root's dot", mesh, "http://orders.shop.svc.cluster.local./x", true},
		{"every scheme of Tyk", mesh, "h2c://orders.svc.cluster.local", true},
		{"another scheme", mesh, "ftp://orders.svc.cluster.local", false},
		{"no scheme", mesh, "//orders.svc.cluster.local", false},
		{"the suffix itself", mesh, "http://svc.cluster.local", false},
		{"nothing before the suffix", mesh, "http://.svc.cluster.local", false},
		{"an empty label", mesh, "http://a..svc.cluster.local", false},
		{"the suffix within a label", mesh, "http://evilsvc.cluster.local", false},
		{"the suffix as a beginning", mesh, "http://a.svc.cluster.local.evil.com", false},
		{"in the user", mesh, "http://a.svc.cluster.local@evil.com/", false},
		{"in user and password", mesh, "http://a.svc.cluster.local:80@evil.com/", false},
		{"a user in front", mesh, "http://evil.com@a.svc.cluster.local/", true},
		{"in the path", mesh, "http://evil.com/.svc.cluster.local", false},
		{"in the query", mesh, "http://evil.com?.svc.cluster.local", false},
		{"in the fragment", mesh, "http://evil.com#.svc.cluster.local", false},
		{"a dot that Go would map", mesh, "http://evil.com%E3%80%82svc.cluster.local", false},
		{"a slash that Go might map", mesh, "http://evil.com%EF%BC%8F.svc.cluster.local", false},
		{"a letter that folds to k", []string{"*.kube.local"}, "http://a.\u212Aube.local", false},
		{"opaque", mesh, "http:a.svc.cluster.local", false},
		{"no host", mesh, "http:///x", false},
		{"an exact name", []string{"orders.example.com"}, "https://orders.example.com", true},
		{"a name below an exact one", []string{"example.com"}, "https://orders.example.com", false},
		{"an address", []string{"127.0.0.1"}, "http://127.0.0.1:8080", true},
		{"an address in another spelling", []string{"127.0.0.1"}, "http://2130706433", false},
		{"an IPv6 address", []string{"[::1]"}, "http://[0:0:0:0:0:0:0:1]:8080", true},
		{"an IPv6 address that holds IPv4", []string{"127.0.0.1"}, "http://[::ffff:127.0.0.1]", false},
		{"a zone", []string{"[fe80::1]"}, "http://[fe80::1%25eth0]", false},
		{"the port", []string{"[::1]:8443"}, "http://[::1]:8443", true},
		{"another port", []string{"orders.example.com:8443"}, "https://orders.example.com:9443", false},
		{"the scheme's port", []string{"orders.example.com:443"}, "https://orders.example.com", true},
		{"the other scheme's port", []string{"orders.example.com:443"}, "http://orders.example.com", false},
		{"one label", []string{"inventory"}, "http://inventory:8080", true},
		{"no entry", nil, "http://inventory:8080", false},
		{"the second entry", []string{"a.example.com", "*.b.example.com:80"}, "http://x.b.example.com", true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			all := forward.MustParseHosts(row.entries...)
			target, err := url.Parse(row.target)
			if err == nil && all.Admit(target) != row.admits || err != nil && row.admits {
				t.Errorf("%s: want %v (%v)", row.target, row.admits, err)
			}
		})
	}
}

func TestHostsThatAreRefused(t *testing.T) {
	for _, entry := range []string{"", "*", "*.", "*.com", "*.*.example.com", "a.*.example.com", "http://a.example.com", "a.example.com/x",
		"u@a.example.com", "a.example.com:", "a.example.com:http", ":80", "::1", "[fe80::1%25eth0]", "*.0.0.1", "*.127.0.0.1", "b\u00fccher.example.com", " a.example.com"} {
		if u, err := forward.ParseHosts("inventory", entry); err == nil {
			t.Errorf("%q: accepted as %+v", entry, u)
		}
	}
}

// dialled is the host that net/http connects to, which it maps before.
func dialled(t *testing.T, target *url.URL) (host string) {
	t.Helper()
	transport := &http.Transport{DialContext: func(_ context.Context, _, address string) (net.Conn, error) {
		host, _, _ = net.SplitHostPort(address)
		return nil, errors.New("only the address is asked for")
	}}
	request, err := http.NewRequest(http.MethodGet, target.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := transport.RoundTrip(request); err == nil {
		response.Body.Close()
	}
	return host
}

// A host that a suffix admits is dialled below that suffix.
func TestDialled(t *testing.T) {
	inside := forward.MustParseHosts("*.svc.cluster.local")
	for _, before := range []string{"", "a.", "a@", "evil.com@a.", "evil.com:80@a.", "evil.com%E3%80%82", "evil.com%EF%BC%8E", "evil.com%EF%BC%8F.", "A.", "xn--a.", "a_b.", "[::1]."} {
		for _, after := range []string{"", ".", ":80", "/", "@evil.com", "%E3%80%82evil.com", ".evil.com", ":80@evil.com", "?.evil.com", "#.evil.com", "\\.evil.com"} {
			target, err := url.Parse("http://" + before + "svc.cluster.local" + after)
			if err != nil || !inside.Admit(target) {
				continue
			}
			if host := dialled(t, target); !strings.HasSuffix(strings.TrimSuffix(strings.ToLower(host), "."), ".svc.cluster.local") {
				t.Errorf("%s is admitted and goes to %s", target, host)
			}
		}
	}
}
