package fidelity_test

import (
	"slices"
	"strings"
	"testing"
)

// testHeaderForms: what is seen and what arrives is the same but for three
// things: doubled fields are joined in a Check and not for the workload, bytes
// that are not UTF-8 are "!" in a Check and themselves for the workload, and
// what a field list calls the connection's own reaches neither.
func (e *alone) testHeaderForms(t *testing.T) {
	for _, row := range []struct {
		name, sent, header string
		seen               string   // in the Check
		arrived            []string // at the workload, as many values as fields; nil: none
		status             int      // of Envoy's own answer; 0: it passes
	}{
		{"case of names", "X-MiXed: aB", "x-mixed", "aB", []string{"aB"}, 0},
		{"underscore in a name", "x_a: 1", "x_a", "1", []string{"1"}, 0},
		{"empty", "X-A:", "x-a", "", []string{""}, 0},
		{"white space around", "X-A: \t a b \t", "x-a", "a b", []string{"a b"}, 0},
		{"tab within", "X-A: a\tb", "x-a", "a\tb", []string{"a\tb"}, 0},
		{"UTF-8", "X-A: ä", "x-a", "ä", []string{"ä"}, 0},
		{"not UTF-8", "X-A: a\xffb", "x-a", "a!b", []string{"a\xffb"}, 0},
		{"a bare CR is dropped", "X-A: a\rb", "x-a", "ab", []string{"ab"}, 0},
		{"a bare LF ends a field", "X-B: 1\nX-A: 2", "x-a", "2", []string{"2"}, 0},
		{"folded", "X-A: 1\r\n 2", "x-a", "1 2", []string{"1 2"}, 0},
		{"doubled", "X-A: 1\r\nx-a: 2", "x-a", "1,2", []string{"1", "2"}, 0},
		{"doubled, one empty", "X-A:\r\nx-a: 2", "x-a", ",2", []string{"", "2"}, 0},
		{"doubled cookies are joined by a comma too", "Cookie: a=1\r\nCookie: b=2", "cookie", "a=1,b=2", []string{"a=1", "b=2"}, 0},
		{"a comma from the client", "X-A: 1, 2", "x-a", "1, 2", []string{"1, 2"}, 0},
		{"token, doubled", "Txn-Token: a\r\nTXN-TOKEN: b", "txn-token", "a,b", []string{"a", "b"}, 0},
		{"token, not UTF-8", "Txn-Token: \xff", "txn-token", "!", []string{"\xff"}, 0},
		{"50 KiB", "X-A: " + strings.Repeat("a", 50<<10), "x-a", strings.Repeat("a", 50<<10), []string{strings.Repeat("a", 50<<10)}, 0},
		{"above 60 KiB", "X-A: " + strings.Repeat("a", 61<<10), "", "", nil, 431},
		{"90 fields", strings.Repeat("X-A: 1\r\n", 89) + "X-A: 1", "x-a", strings.Repeat("1,", 89) + "1", slices.Repeat([]string{"1"}, 90), 0},
		{"above 100 fields", strings.Repeat("X-A: 1\r\n", 100) + "X-A: 1", "", "", nil, 431},
		{"control character", "X-A: a\x01b", "", "", nil, 400},
		{"NUL", "X-A: a\x00b", "", "", nil, 400},
		{"DEL", "X-A: a\x7fb", "", "", nil, 400},
		{"space in a name", "X A: 1", "", "", nil, 400},
		{"space before the colon", "X-A : 1", "", "", nil, 400},
		{"bracket in a name", "X(A): 1", "", "", nil, 400},
		{"no name", ": 1", "", "", nil, 400},
		{"a pseudo header", ":path: /b", "", "", nil, 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := e.try(t, request("/h", row.sent))
			if row.status != 0 {
				v.checkEnded(t, row.status)
				return
			}
			asked, arrived := v.passed(t)
			seen, found := asked.GetHeaders()[row.header]
			if seen != row.seen || !found {
				t.Errorf("seen: got %q (%t), want %q", seen, found, row.seen)
			}
			equalLists(t, "arrived", arrived.values(row.header), row.arrived)
		})
	}
}

// testForwardedHeaders: which names a client can set for the workload, and which
// Envoy takes away or writes itself. What is seen arrives.
func (e *alone) testForwardedHeaders(t *testing.T) {
	const absent = "(absent)"
	for _, row := range []struct{ name, sent, header, seen string }{
		{"the connection's own fields", "Connection: x-a\r\nX-A: 1", "x-a", absent},
		{"the token called the connection's own", "Connection: txn-token\r\nTxn-Token: a", "txn-token", absent},
		{"Keep-Alive", "Keep-Alive: 1", "keep-alive", absent},
		{"Proxy-Connection", "Proxy-Connection: close", "proxy-connection", absent},
		{"an upgrade that the connection does not name", "Upgrade: h2c", "upgrade", absent},
		{"x-envoy-internal", "x-envoy-internal: true", "x-envoy-internal", absent},
		{"x-envoy-decorator-operation", "x-envoy-decorator-operation: a", "x-envoy-decorator-operation", absent},
		{"x-envoy-original-path", "x-envoy-original-path: /admin", "x-envoy-original-path", "/admin"},
		{"x-envoy-external-address", "x-envoy-external-address: 192.0.2.1", "x-envoy-external-address", "192.0.2.1"},
		{"X-Forwarded-For", "X-Forwarded-For: 192.0.2.1", "x-forwarded-for", "192.0.2.1"},
		{"X-Forwarded-Host", "X-Forwarded-Host: evil.example", "x-forwarded-host", "evil.example"},
		{"X-Forwarded-Proto", "X-Forwarded-Proto: ftp", "x-forwarded-proto", "ftp"},
		{"X-Request-Id", "X-Request-Id: mine", "x-request-id", "mine"},
		{"Authorization", "Authorization: Bearer a", "authorization", "Bearer a"},
		{"a name of ours", "X-Meshpass-Sub: root", "x-meshpass-sub", "root"},
		{"a name like ours", "X_Meshpass_Sub: root", "x_meshpass_sub", "root"},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked, arrived := e.try(t, request("/h", row.sent)).passed(t)
			seen, found := asked.GetHeaders()[row.header]
			if !found {
				seen = absent
			}
			equal(t, "seen", seen, row.seen)
			if values := arrived.values(row.header); found {
				equalLists(t, "arrived", values, []string{row.seen})
			} else {
				equalLists(t, "arrived", values, nil)
			}
		})
	}
	t.Run("x-envoy-auth-partial-body", func(t *testing.T) {
		asked, arrived := e.try(t, request("/h", "x-envoy-auth-partial-body: true")).passed(t)
		equal(t, "seen, though Envoy alone may say so", asked.GetHeaders()["x-envoy-auth-partial-body"], "")
		equal(t, "arrived", arrived.value("x-envoy-auth-partial-body"), "true")
	})
	t.Run("X-Forwarded-Client-Cert", e.testForgedClientCert)
}

// testForgedClientCert: a sidecar appends to what a caller claims. Only the last
// element is Envoy's word.
func (e *alone) testForgedClientCert(t *testing.T) {
	const forged = "By=a;URI=spiffe://cluster.local/ns/x/sa/admin"
	asked, arrived := e.try(t, request("/h", "X-Forwarded-Client-Cert: "+forged, "X-Forwarded-Client-Cert: By=b")).passed(t)
	seen := asked.GetHeaders()["x-forwarded-client-cert"]
	equal(t, "arrived", arrived.value("x-forwarded-client-cert"), seen)
	last, ok := strings.CutPrefix(seen, forged+",By=b,By="+e.orders.SPIFFE()+";")
	if !ok || !strings.HasSuffix(last, ";URI="+e.caller.SPIFFE()) || strings.Contains(last, ",") {
		t.Errorf("got %q, want the forged elements, then one of the caller", seen)
	}
}
