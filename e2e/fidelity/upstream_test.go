package fidelity_test

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/http2"
)

// arrival is a request as the program behind the Envoy received it: nothing is
// parsed but where its parts end.
type arrival struct {
	line   string   // "GET /a HTTP/1.1"
	fields []string // "name: value", in order
	body   string   // with its transfer coding, if it has one
}

func (a arrival) method() string {
	method, _, _ := strings.Cut(a.line, " ")
	return method
}

// target is all between method and version, whatever it holds.
func (a arrival) target() string {
	_, rest, _ := strings.Cut(a.line, " ")
	return strings.TrimSuffix(strings.TrimSuffix(rest, " HTTP/1.1"), " HTTP/2")
}

// values are those of all fields of a name, in order.
func (a arrival) values(name string) []string {
	var all []string
	for _, field := range a.fields {
		if n, value, ok := strings.Cut(field, ":"); ok && strings.EqualFold(n, name) {
			all = append(all, strings.TrimPrefix(value, " "))
		}
	}
	return all
}

func (a arrival) value(name string) string { return strings.Join(a.values(name), " & ") }

// upstream is the program behind the Envoy. It answers one request on each
// connection and closes it, so that a second one can only come by another.
type upstream struct {
	mu   sync.Mutex
	open int
	got  []arrival
}

// plainAnswer is to all requests but upgrades.
const plainAnswer = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\nconnection: close\r\nx-from: upstream\r\n\r\narrived\n"

func newUpstream(t testing.TB, addr string) *upstream {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(t, err)
	u := &upstream{}
	go u.accept(listener)
	stopAtEnd(t, listener.Close)
	return u
}

func (u *upstream) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // closed
		}
		u.count(1)
		go func() {
			defer u.count(-1)
			defer conn.Close()
			u.serve(conn)
		}()
	}
}

func (u *upstream) count(by int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.open += by
}

// idle reports that every connection so far has been dealt with.
func (u *upstream) idle() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.open == 0
}

// take returns what arrived since the last take.
func (u *upstream) take() []arrival {
	u.mu.Lock()
	defer u.mu.Unlock()
	got := u.got
	u.got = nil
	return got
}

func (u *upstream) add(a arrival) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.got = append(u.got, a)
}

func (u *upstream) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	if preface, _ := r.Peek(len(http2.ClientPreface)); string(preface) == http2.ClientPreface {
		u.serveHTTP2(conn, r)
		return
	}
	a, err := readHead(r)
	if a.line == "" {
		return // a connection that was never used
	}
	if err == nil {
		a.body, err = readBody(r, a)
	}
	u.add(a)
	if err != nil {
		return
	}
	if upgrade := a.value("upgrade"); upgrade != "" {
		echo(conn, r, upgrade)
		return
	}
	_, _ = io.WriteString(conn, plainAnswer) // the client sees what became of it
}

// echo is a WebSocket server that sends all bytes back.
func echo(conn net.Conn, r io.Reader, upgrade string) {
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: "+upgrade+"\r\n\r\n")
	_, _ = io.Copy(conn, r)
}
