package localcopy_test

import (
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
)

// The limit of an endpoint counts the requests that the gateway's switches have it match. e2e/rehearse.TestEndpointSwitches compares with the real gateway.
func TestMatching(t *testing.T) {
	const prefix, suffix, both, caseless = "prefix", "suffix", "both", "case"
	switches := map[string]localcopy.Matching{"": {}, prefix: {Prefix: true}, suffix: {Suffix: true}, both: {Prefix: true, Suffix: true}, caseless: {IgnoreCase: true}}
	for _, row := range []struct {
		path, target string
		matches      []string
	}{
		{"/orders", "/a/orders", []string{"", prefix, suffix, both, caseless}},
		{"/orders", "/a/orders?x=/y", []string{"", prefix, suffix, both, caseless}},
		{"/orders", "/a/orders/7", []string{"", prefix, caseless}},
		{"/orders", "/a/tenants/orders", []string{"", suffix, caseless}},
		{"/orders", "/a/ORDERS", []string{caseless}},
		{"orders", "/a/tenants/orders", []string{"", prefix, suffix, both, caseless}}, // prefix matching is for patterns that begin with a slash
		{"/orders/{id}", "/a/orders/7", []string{"", prefix, suffix, both, caseless}},
		{"/orders/{id}", "/a/orders/7/x", []string{"", prefix, caseless}},
		{"/orders/*", "/a/orders/7/x", []string{"", prefix, suffix, both, caseless}},
		{"/orders/[0-9]+$", "/a/orders/77", []string{"", prefix, suffix, both, caseless}},
		{"/orders/[0-9]+$", "/a/orders/x", nil},
		{"/o r", "/a/o%20r", []string{"", prefix, suffix, both, caseless}},
		{"/a/orders", "/a/orders", nil}, // the listen path is no part of it
		{"/orders/(", "/a/orders/7", nil},
	} {
		api := &localcopy.API{ListenPath: "/a/", Endpoints: []localcopy.Endpoint{{Method: "POST", Path: row.path}, {Method: "GET", Path: row.path}}}
		for name, m := range switches {
			want := false
			for _, match := range row.matches {
				want = want || match == name
			}
			defined := m.FindDefined(api, "GET", row.target)
			if (defined != nil) != want || defined != nil && defined.Method != "GET" {
				t.Errorf("%q of a definition, %s, switches %q: got %+v, want a match: %t", row.path, row.target, name, defined, want)
			}
			if name == caseless {
				continue
			}
			if granted := m.FindGranted([]localcopy.Endpoint{{Method: "get", Path: row.path}}, api, "GET", row.target); (granted != nil) != want {
				t.Errorf("%q of a policy, %s, switches %q: got %+v, want a match: %t", row.path, row.target, name, granted, want)
			}
		}
	}
	// Of policies, the switch for the case of letters does not count, and the case of a method does not matter.
	api := &localcopy.API{ListenPath: "/a/"}
	if got := switches[caseless].FindGranted([]localcopy.Endpoint{{Method: "GET", Path: "/orders"}}, api, "GET", "/a/ORDERS"); got != nil {
		t.Errorf("got %+v", got)
	}
	api.Endpoints = []localcopy.Endpoint{{Method: "get", Path: "/orders"}}
	if got := switches[""].FindDefined(api, "GET", "/a/orders"); got != nil {
		t.Errorf("got %+v", got)
	}
}
