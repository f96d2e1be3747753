package fidelity_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// testPlaintext: under STRICT, what is not mTLS is closed before it is read as
// HTTP of any version.
func (e *alone) testPlaintext(t *testing.T) {
	for name, raw := range map[string]string{"HTTP/1.1": request("/"), "h2c": http2.ClientPreface} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.DialTimeout("tcp", e.orders.Address+":8080", patience)
			must(t, err)
			defer conn.Close()
			must(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = io.WriteString(conn, raw)
			must(t, err)
			if !over(bufio.NewReader(conn)) {
				t.Error("answered")
			}
			e.views(t, reply{}).checkEnded(t, 0)
		})
	}
}

// testNoALPN: where TLS agreed on no version, the first bytes say it.
func (e *alone) testNoALPN(t *testing.T) {
	conn := e.dial(t)
	defer conn.Close()
	_, err := io.WriteString(conn, request("/a/../b"))
	must(t, err)
	asked, arrived := e.views(t, readReply(t, bufio.NewReader(conn), "GET")).passed(t)
	equal(t, "decided", asked.GetPath(), "/b")
	equal(t, "arrived", arrived.line, "GET /b HTTP/1.1")
	t.Run("HTTP 2", func(t *testing.T) {
		got := openStreamOn(t, e.dial(t), usual("GET", "/a/../b"), true).reply(t)
		equal(t, ":status", got.fields[":status"], "200")
		asked, arrived := e.views(t, reply{status: 200}).passed(t)
		equal(t, "protocol", asked.GetProtocol(), "HTTP/2")
		equal(t, "arrived", arrived.line, "GET /b HTTP/1.1")
	})
}
