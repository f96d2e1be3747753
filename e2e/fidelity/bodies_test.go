package fidelity_test

import (
	"strconv"
	"strings"
	"testing"
)

// testBodies: a body goes to the workload and never to us, and its length is
// only the client's word when the Check is made.
func (e *alone) testBodies(t *testing.T) {
	large := strings.Repeat("a", 100<<10)
	for _, row := range []struct{ name, framing, sent, arrived, length string }{
		{"by length", "Content-Length: 5", "hello", "hello", "5"},
		{"by chunks", "Transfer-Encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", ""},
		{"chunk extensions and trailers are dropped", "Transfer-Encoding: chunked", "5;a=1\r\nhello\r\n0\r\nX-Meshpass-Sub: root\r\n\r\n", "5\r\nhello\r\n0\r\n\r\n", ""},
		{"bytes behind a chunk are dropped", "Transfer-Encoding: chunked", "3\r\nhello\r\n0\r\n\r\n", "3\r\nhel\r\n0\r\n\r\n", ""},
		{"of 100 KiB", "Content-Length: " + strconv.Itoa(len(large)), large, large, strconv.Itoa(len(large))},
	} {
		t.Run(row.name, func(t *testing.T) {
			asked, arrived := e.try(t, "POST /b HTTP/1.1\r\n"+head("Host: "+ordersHost, row.framing)+row.sent).passed(t)
			equal(t, "body in the Check", asked.GetBody()+string(asked.GetRawBody()), "")
			equal(t, "size", asked.GetSize(), 0)
			equal(t, "content-length", asked.GetHeaders()["content-length"], row.length)
			if _, found := asked.GetHeaders()["x-envoy-auth-partial-body"]; found {
				t.Error("x-envoy-auth-partial-body without a body")
			}
			equal(t, "arrived", arrived.body, row.arrived)
		})
	}
	t.Run("of a GET", func(t *testing.T) {
		_, arrived := e.try(t, request("/b", "Content-Length: 5")+"hello").passed(t)
		equal(t, "arrived", arrived.body, "hello")
	})
	t.Run("trailers of HTTP/2 are dropped", func(t *testing.T) { e.testTrailers(t, nil) })
}

// testSmuggling: a request that two readers could end in two places ends at
// Envoy, and the bytes after it are never a request.
func (e *alone) testSmuggling(t *testing.T) {
	smuggled := request("/smuggled")
	for _, row := range []struct {
		name, framing, body string
		status              int
	}{
		{"a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n", 400},
		{"chunks and a length", "Transfer-Encoding: chunked\r\nContent-Length: 5", "0\r\n\r\n", 400},
		{"two lengths", "Content-Length: 5\r\nContent-Length: 6", "hello1", 400},
		{"two equal lengths", "Content-Length: 5\r\nContent-Length: 5", "hello", 400},
		{"a list of lengths", "Content-Length: 5, 5", "hello", 400},
		{"a length with a sign", "Content-Length: +5", "hello", 400},
		{"a negative length", "Content-Length: -1", "", 400},
		{"a hexadecimal length", "Content-Length: 0x5", "hello", 400},
		{"a length above 64 bits", "Content-Length: 18446744073709551621", "hello", 400},
		{"an unknown coding", "Transfer-Encoding: xchunked", "0\r\n\r\n", 501},
		{"a coding before chunks", "Transfer-Encoding: gzip, chunked", "0\r\n\r\n", 501},
		{"a coding after chunks", "Transfer-Encoding: chunked, identity", "0\r\n\r\n", 501},
		{"two fields of codings", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", "0\r\n\r\n", 501},
		{"a vertical tab before the coding", "Transfer-Encoding: \x0bchunked", "0\r\n\r\n", 400},
		{"a space before the colon", "Transfer-Encoding : chunked", "0\r\n\r\n", 400},
		{"underscore for the length", "Content_Length: 5\r\nContent-Length: x", "hello", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.try(t, "POST /b HTTP/1.1\r\nHost: "+ordersHost+"\r\n"+row.framing+"\r\n\r\n"+row.body+smuggled).checkEnded(t, row.status)
		})
	}
	t.Run("bad chunks", e.testBadChunks)
	t.Run("two requests in one write", e.testPipelining)
}

// testBadChunks: the head is complete and may be asked about; the request itself
// is broken off, and what follows is no request.
func (e *alone) testBadChunks(t *testing.T) {
	for name, chunks := range map[string]string{
		"a bare LF": "5\nhello\r\n0\r\n\r\n", "no number": "zz\r\nhello\r\n0\r\n\r\n", "a sign": "-1\r\nhello\r\n0\r\n\r\n",
		"a LF in an extension": "5;a\nb\r\nhello\r\n0\r\n\r\n", "bytes for a line's end": "5\r\nhelloXX0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			v := e.try(t, "POST /b HTTP/1.1\r\nHost: "+ordersHost+"\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks+request("/smuggled"))
			equal(t, "status", v.reply.status, 400)
			for _, asked := range v.asked {
				equal(t, "asked about", asked.GetPath(), "/b")
			}
			for _, a := range v.arrived {
				equal(t, "arrived", a.target(), "/b")
			}
		})
	}
}

// testPipelining: each request on a connection is a Check of its own.
func (e *alone) testPipelining(t *testing.T) {
	first := "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
	got := e.send(t, first+request("/second"))
	equal(t, "replies", len(got), 2)
	v := e.views(t, reply{})
	if len(v.asked) != 2 || len(v.arrived) != 2 {
		t.Fatalf("%d Checks, %d arrivals; want two of each", len(v.asked), len(v.arrived))
	}
	for i, want := range []string{"/first", "/second"} {
		equal(t, "asked about", v.asked[i].GetPath(), want)
		equal(t, "arrived", v.arrived[i].target(), want)
	}
}
