package fidelity_test

import (
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// tryH2 is try over HTTP/2.
func (e *alone) tryH2(t testing.TB, f fields) (h2reply, views) {
	t.Helper()
	got := e.h2(t, f)
	status, err := strconv.Atoi(got.fields[":status"])
	must(t, err)
	return got, e.views(t, reply{status: status, body: got.body})
}

// testHTTP2: its pseudo headers are the request line of HTTP/1.1, in which the
// workload gets them.
func (e *alone) testHTTP2(t *testing.T) {
	for _, row := range []struct {
		name       string
		sent       fields
		line, host string // arrived
	}{
		{"a request", usual("GET", "/a?b"), "GET /a?b HTTP/1.1", ordersHost},
		{"dot segments", usual("GET", "/a/../b;c"), "GET /b;c HTTP/1.1", ordersHost},
		{"a fragment", usual("GET", "/a#b"), "GET /a HTTP/1.1", ordersHost},
		{"a backslash", usual("GET", `/\a`), "GET //a HTTP/1.1", ordersHost},
		{"a path, not ASCII", usual("GET", "/ä"), "GET /%C3%A4 HTTP/1.1", ordersHost},
		{"a path, not UTF-8", usual("GET", "/a\xff"), "GET /a%FF HTTP/1.1", ordersHost},
		{"a method in lower case", usual("get", "/"), "get / HTTP/1.1", ordersHost},
		{"a method of its own", usual("X-Y", "/"), "X-Y / HTTP/1.1", ordersHost},
		{"a host beside an equal authority", usual("GET", "/", "host", ordersHost), "GET / HTTP/1.1", ordersHost},
		{"a host beside another authority", usual("GET", "/", "host", "evil.example"), "GET / HTTP/1.1", ordersHost},
		{"a host and no authority", fields{":method", "GET", ":scheme", "https", ":path", "/", "host", "a.example"}, "GET / HTTP/1.1", "a.example"},
		{"a scheme that the connection has not", fields{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/"}, "GET / HTTP/1.1", "a"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, v := e.tryH2(t, row.sent)
			asked, arrived := v.passed(t)
			equal(t, "protocol", asked.GetProtocol(), "HTTP/2")
			equal(t, "scheme is the client's word", asked.GetScheme(), row.sent[3])
			equal(t, "arrived", arrived.line, row.line)
			equal(t, "decided", asked.GetMethod()+" "+asked.GetPath()+" HTTP/1.1", row.line)
			equal(t, "decided host", asked.GetHost(), row.host)
			equalLists(t, "arrived host", arrived.values("host"), []string{row.host})
		})
	}
	t.Run("split cookies", e.testSplitCookies)
	t.Run("a query, not UTF-8", e.testRawQuery)
	t.Run("answered by Envoy", e.testHTTP2Answered)
	t.Run("reset", e.testHTTP2Resets)
}

// testSplitCookies: what HTTP/2 splits (RFC 9113 section 8.2.3) is put together.
func (e *alone) testSplitCookies(t *testing.T) {
	_, v := e.tryH2(t, usual("GET", "/", "cookie", "a=1", "cookie", "b=2", "txn-token", "a", "txn-token", "b"))
	asked, arrived := v.passed(t)
	equal(t, "cookie", asked.GetHeaders()["cookie"], "a=1; b=2")
	equalLists(t, "cookie arrived", arrived.values("cookie"), []string{"a=1; b=2"})
	equal(t, "token", asked.GetHeaders()["txn-token"], "a,b")
	equalLists(t, "token arrived", arrived.values("txn-token"), []string{"a", "b"})
}

// testRawQuery: normalisation escapes such bytes in the path, and nothing does
// in the query, where the Check shows "!" for them. No rule reads the query.
func (e *alone) testRawQuery(t *testing.T) {
	_, v := e.tryH2(t, usual("GET", "/a?b=\xff"))
	asked, arrived := v.passed(t)
	equal(t, "seen", asked.GetPath(), "/a?b=!")
	equal(t, "arrived", arrived.target(), "/a?b=\xff")
}

func (e *alone) testHTTP2Answered(t *testing.T) {
	for _, row := range []struct {
		name   string
		sent   fields
		status int
	}{
		{"CONNECT has no route", fields{":method", "CONNECT", ":authority", "orders:80"}, 404},
		{"an asterisk has no route", usual("OPTIONS", "*"), 404},
		{"an escaped NUL", usual("GET", "/a%00"), 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, v := e.tryH2(t, row.sent)
			v.checkEnded(t, row.status)
		})
	}
}

// testHTTP2Resets: these end without an answer. All are sent before the first
// end is waited for: Envoy takes a second for each.
func (e *alone) testHTTP2Resets(t *testing.T) {
	rows := []struct {
		name string
		sent fields
	}{
		{"no authority", fields{":method", "GET", ":scheme", "https", ":path", "/"}},
		{"an authority, not ASCII", fields{":method", "GET", ":scheme", "https", ":authority", "a\xff", ":path", "/"}},
		{"no path", fields{":method", "GET", ":scheme", "https", ":authority", "a"}},
		{"an empty path", usual("GET", "")},
		{"two paths", usual("GET", "/a", ":path", "/b")},
		{"two methods", usual("GET", "/a", ":method", "PUT")},
		{"a path behind a field", usual("GET", "/a", "x-a", "1", ":path", "/b")},
		{"a path without a slash", usual("GET", "a")},
		{"an absolute path", usual("GET", "http://evil.example/a")},
		{"a raw NUL", usual("GET", "/a\x00")},
		{"a space", usual("GET", "/a b")},
		{"a space in the query", usual("GET", "/a?b c")},
		{"a line end", usual("GET", "/a HTTP/1.1\r\nx: y")},
		{"a name in upper case", usual("GET", "/", "X-A", "1")},
		{"a line end in a value", usual("GET", "/", "x-a", "1\r\nx-b: 2")},
		{"a field of the connection", usual("GET", "/", "connection", "close")},
		{"a transfer coding", usual("POST", "/", "transfer-encoding", "chunked")},
		{"a length and no body", usual("POST", "/", "content-length", "5")},
		{"a method with a space", usual("GET /admin", "/")},
		{"a method, not ASCII", usual("G\xffT", "/")},
		{"extended CONNECT", usual("CONNECT", "/", ":protocol", "websocket")},
		{"above 60 KiB", usual("GET", "/", "x-a", strings.Repeat("a", 61<<10))},
	}
	streams := make([]*stream, len(rows))
	for i, row := range rows {
		streams[i] = e.openStream(t, row.sent, true)
	}
	for i, row := range rows {
		if head, answered := streams[i].next(t).(*http2.MetaHeadersFrame); answered {
			t.Errorf("%s: answered by %v", row.name, head.Fields)
		}
	}
	if v := e.views(t, reply{}); len(v.asked)+len(v.arrived) != 0 {
		t.Errorf("asked about %v, arrived %v; want nothing", v.asked, v.arrived)
	}
}
