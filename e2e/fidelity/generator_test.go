package fidelity_test

import (
	"math/rand/v2"
	"strings"
)

// line is a request line, and the host field that follows.
type line struct{ method, target, host string }

func (l line) raw() string {
	return l.method + " " + l.target + " HTTP/1.1\r\nHost: " + l.host + "\r\n\r\n"
}

// broken reports a line end within.
func (l line) broken() bool { return strings.ContainsAny(l.method+l.target+l.host, "\r\n") }

// pieces are what targets are made of. Those that mean something to a parser
// stand beside those that it passes over.
var pieces = []string{
	"/", "/", "/", "/", "a", "admin", "tenants", "acme", "..", ".", "...", "//", "/./", "/../",
	"%2e", "%2E", "%2e%2e", ".%2e", "%2f", "%2F", "%5c", "%5C", `\`, "%25", "%252e", "%252f", "%00", "%0a", "%0d", "%20", "%41", "%7e", "%c0%af", "%e0%80%af", "%ff", "%zz", "%", "%2", "%u002f",
	";", ";x=y", "..;", "..;/", "?", "?a=b", "#", "#f", "&", "=", "+", "!", "~", "*", "@", ":", ",", "'", "(", "[", "{", "|", "^", "`", `"`, "<",
	"http://", "https://", "//other.example", "other.example", ":80", "user@",
}

// never are bytes that no target may hold: one of them, and Envoy refuses the line.
var never = []string{"\x00", "\x01", "\x0b", "\x7f", "\x80", "\xff", "\xc3\xa4", "\xc0\xaf", "\t", " ", "\r", "\n", "\r\n"}

var methods = []string{"GET", "GET", "GET", "GET", "POST", "PUT", "HEAD", "OPTIONS", "PROPFIND", "CONNECT", "get", "G T", "GET\t", ""}

var hosts = []string{ordersHost, ordersHost, ordersHost, "other.example", "a,b", "a@b", "[::1]", "A.", "", "a b", "a\xff", "a/b"}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// randomLine makes one of up to a dozen pieces. Most of them begin as a path
// does: others end at Envoy's first look.
func randomLine(r *rand.Rand) line {
	var b strings.Builder
	if r.IntN(20) > 0 {
		b.WriteByte('/')
	}
	for range r.IntN(12) {
		switch r.IntN(40) {
		case 0:
			b.WriteByte(byte(r.IntN(256)))
		case 1:
			b.WriteString(pick(r, never))
		default:
			b.WriteString(pick(r, pieces))
		}
	}
	l := line{method: "GET", target: b.String(), host: ordersHost}
	if r.IntN(6) == 0 {
		l.method = pick(r, methods)
	}
	if r.IntN(6) == 0 {
		l.host = pick(r, hosts)
	}
	return l
}

// randomFields makes the head of HTTP/2 that says the same, with one in a few
// out of its form.
func randomFields(r *rand.Rand) fields {
	l := randomLine(r)
	f := fields{":method", l.method, ":scheme", "https", ":authority", l.host, ":path", l.target}
	switch r.IntN(8) {
	case 0: // one is missing
		i := 2 * r.IntN(4)
		return append(append(fields{}, f[:i]...), f[i+2:]...)
	case 1: // one is there twice
		i := 2 * r.IntN(4)
		return append(f, f[i], pick(r, pieces))
	case 2:
		return append(f, "host", pick(r, hosts))
	case 3:
		return append(f, pick(r, []string{"x-a", "X-A", "x a", "connection", "te", "content-length", "transfer-encoding", "x-envoy-original-path", ":protocol"}), pick(r, pieces))
	}
	return f
}
