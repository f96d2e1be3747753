package fidelity_test

import (
	"strings"
	"testing"
)

// testRequestLines: methods, versions and the forms of RFC 9112 section 3.2.
func (e *alone) testRequestLines(t *testing.T) {
	for _, row := range []struct {
		name, line string
		arrived    string // the whole line; its method is the one that was decided
		status     int    // of Envoy's own answer; 0: it passes
	}{
		{"an extension method", "PROPFIND / HTTP/1.1", "PROPFIND / HTTP/1.1", 0},
		{"HEAD", "HEAD / HTTP/1.1", "HEAD / HTTP/1.1", 0},
		{"TRACE", "TRACE / HTTP/1.1", "TRACE / HTTP/1.1", 0},
		{"OPTIONS", "OPTIONS / HTTP/1.1", "OPTIONS / HTTP/1.1", 0},
		{"OPTIONS in asterisk form has no route", "OPTIONS * HTTP/1.1", "", 404},
		{"CONNECT in authority form has no route", "CONNECT orders:80 HTTP/1.1", "", 404},
		{"CONNECT in origin form", "CONNECT / HTTP/1.1", "", 400},
		{"CONNECT in absolute form", "CONNECT http://a/b HTTP/1.1", "", 400},
		{"a method in lower case", "get / HTTP/1.1", "", 400},
		{"an unknown method", "X-Y / HTTP/1.1", "", 400},
		{"a method with a slash", "G/T / HTTP/1.1", "", 400},
		{"a method, not ASCII", "G\xffT / HTTP/1.1", "", 400},
		{"two spaces", "GET  / HTTP/1.1", "GET / HTTP/1.1", 0},
		{"a tab for a space", "GET /\tHTTP/1.1", "GET / HTTP/1.1", 0},
		{"an empty line before it", "\r\nGET / HTTP/1.1", "GET / HTTP/1.1", 0},
		{"a space before it", " GET / HTTP/1.1", "", 400},
		{"a space in the target", "GET /a b HTTP/1.1", "", 400},
		{"no version", "GET /", "", 426},
		{"HTTP/0.9", "GET / HTTP/0.9", "", 426},
		{"HTTP/1.0", "GET / HTTP/1.0", "", 426},
		{"HTTP/1.2", "GET / HTTP/1.2", "", 426},
		{"HTTP/2.0 in text", "GET / HTTP/2.0", "", 426},
		{"the preface of HTTP/2 where HTTP/1.1 was agreed", "PRI * HTTP/2.0", "", 400},
		{"http in lower case", "GET / http/1.1", "", 400},
		{"16 KiB", "GET /" + strings.Repeat("a", 16<<10) + " HTTP/1.1", "GET /" + strings.Repeat("a", 16<<10) + " HTTP/1.1", 0},
		{"above 60 KiB", "GET /" + strings.Repeat("a", 61<<10) + " HTTP/1.1", "", 431},
	} {
		t.Run(row.name, func(t *testing.T) {
			v := e.try(t, row.line+"\r\n"+head("Host: "+ordersHost))
			if row.status != 0 {
				v.checkEnded(t, row.status)
				return
			}
			asked, arrived := v.passed(t)
			equal(t, "arrived", arrived.line, row.arrived)
			equal(t, "decided", asked.GetMethod()+" "+asked.GetPath()+" HTTP/1.1", arrived.line)
		})
	}
}
