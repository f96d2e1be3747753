package fidelity_test

import "testing"

// testHosts: which host is decided, and that the workload gets the same.
func (e *alone) testHosts(t *testing.T) {
	for _, row := range []struct {
		name, target string
		fields       []string
		host         string // seen and arrived
		status       int    // of Envoy's own answer; 0: it passes
	}{
		{"as sent, case and dot too", "/", []string{"Host: ORDERS.Shop."}, "ORDERS.Shop.", 0},
		{"with a user", "/", []string{"Host: a@b"}, "a@b", 0},
		{"IPv6", "/", []string{"Host: [::1]:80"}, "[::1]:80", 0},
		{"a list", "/", []string{"Host: a,b"}, "a,b", 0},
		{"two", "/", []string{"Host: a", "Host: b"}, "a,b", 0},
		{"empty", "/", []string{"Host:"}, "", 0},
		{"none", "/", nil, "", 400},
		{"a space", "/", []string{"Host: a b"}, "", 400},
		{"a slash", "/", []string{"Host: a/b"}, "", 400},
		{"not ASCII", "/", []string{"Host: \xff"}, "", 400},
		{"the absolute form beats it", "http://other.example:99/", []string{"Host: a"}, "other.example:99", 0},
		{"the absolute form without it", "http://other.example/", nil, "other.example", 0},
		{"the absolute form, with a user", "http://user@other.example/", []string{"Host: a"}, "other.example", 0},
		{"the absolute form, another scheme", "ftp://other.example/", []string{"Host: a"}, "", 400},
		{"the absolute form, no host", "http:///", []string{"Host: a"}, "", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := e.try(t, "GET "+row.target+" HTTP/1.1\r\n"+head(row.fields...))
			if row.status != 0 {
				v.checkEnded(t, row.status)
				return
			}
			asked, arrived := v.passed(t)
			equal(t, "host", asked.GetHost(), row.host)
			equal(t, ":authority", asked.GetHeaders()[":authority"], row.host)
			equalLists(t, "arrived", arrived.values("host"), []string{row.host})
		})
	}
}
