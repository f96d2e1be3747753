package fidelity_test

import (
	"bufio"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"
)

// testGRPC: a caller that speaks gRPC gets a refusal as gRPC has it, a status in
// the head; the body of our refusal becomes its message.
func (e *alone) testGRPC(t *testing.T) {
	for _, row := range []struct {
		name    string
		says    answer
		status  codes.Code
		message string
	}{
		{"401", denied(401, `{"reason":"token_missing"}`), codes.Unauthenticated, `{"reason":"token_missing"}`},
		{"403", denied(403, `{"reason":"no_rule"}`), codes.PermissionDenied, `{"reason":"no_rule"}`},
		{"500", denied(500, ""), codes.Unknown, ""},
		{"503", denied(503, "x"), codes.Unavailable, "x"},
		{"an authorizer that fails", failing, codes.Unavailable, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			e.says(t, row.says)
			got, v := e.tryH2(t, usual("POST", "/shop.Orders/Get", "content-type", "application/grpc", "te", "trailers"))
			if len(v.asked) != 1 || len(v.arrived) != 0 || !got.only || got.body != "" {
				t.Fatalf("%d Checks, %d arrivals, got %+v; want one Check and the head alone", len(v.asked), len(v.arrived), got)
			}
			equal(t, ":status", got.fields[":status"], "200")
			equal(t, "grpc-status", got.fields["grpc-status"], strconv.Itoa(int(row.status)))
			equal(t, "grpc-message", unescape(t, got.fields["grpc-message"]), row.message)
			equal(t, "content-type", got.fields["content-type"], "application/grpc")
		})
	}
	t.Run("an open stream", e.testOpenStream)
}

// unescape reads a message as gRPC writes it.
func unescape(t testing.TB, message string) string {
	t.Helper()
	plain, err := url.PathUnescape(message)
	must(t, err)
	return plain
}

// testOpenStream: a stream whose body has not ended, as a client of gRPC keeps
// it, is decided at its head.
func (e *alone) testOpenStream(t *testing.T) {
	e.says(t, denied(403, "no"))
	s := e.openStream(t, usual("POST", "/shop.Orders/Watch", "content-type", "application/grpc", "te", "trailers"), false)
	head, ok := s.next(t).(*http2.MetaHeadersFrame)
	if !ok || !head.StreamEnded() {
		t.Fatalf("got %v, want the whole answer in a head", head)
	}
	if v := e.views(t, reply{}); len(v.asked) != 1 || len(v.arrived) != 0 {
		t.Errorf("%d Checks, %d arrivals; want one and none", len(v.asked), len(v.arrived))
	}
}

// testWebSocket: the upgrade is a request like any other and is decided once;
// what streams after it is not.
func (e *alone) testWebSocket(t *testing.T) {
	upgrade := "GET /ws HTTP/1.1\r\nHost: " + ordersHost + "\r\nConnection: Upgrade\r\nUpgrade: "
	t.Run("let in", func(t *testing.T) {
		conn := e.dial(t, "http/1.1")
		defer conn.Close()
		_, err := io.WriteString(conn, upgrade+"websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
		must(t, err)
		in := bufio.NewReader(conn)
		response, err := http.ReadResponse(in, nil)
		must(t, err)
		equal(t, "status", response.StatusCode, http.StatusSwitchingProtocols)
		for range 3 {
			ping(t, conn, in, "GET /admin HTTP/1.1\r\n\r\n")
		}
		must(t, conn.Close())
		asked, arrived := e.views(t, reply{status: 200}).passed(t)
		equal(t, "decided", asked.GetMethod()+" "+asked.GetPath(), "GET /ws")
		equal(t, "upgrade in the Check", asked.GetHeaders()["upgrade"], "websocket")
		equal(t, "arrived", arrived.line, "GET /ws HTTP/1.1")
	})
	t.Run("refused", func(t *testing.T) {
		e.says(t, denied(403, "no"))
		v := e.try(t, upgrade+"websocket\r\n\r\n")
		if v.reply.status != 403 || v.reply.body != "no" || len(v.arrived) != 0 {
			t.Errorf("got %+v, %d arrivals", v.reply, len(v.arrived))
		}
	})
	t.Run("another protocol", func(t *testing.T) { e.try(t, upgrade+"other\r\n\r\n").checkEnded(t, 403) })
	t.Run("h2c is dropped, the request goes on", func(t *testing.T) {
		_, arrived := e.try(t, upgrade+"h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n").passed(t)
		equal(t, "upgrade", arrived.value("upgrade"), "")
	})
}

// ping sends bytes to the workload's echo and wants them back.
func ping(t testing.TB, conn io.Writer, in io.Reader, text string) {
	t.Helper()
	_, err := io.WriteString(conn, text)
	must(t, err)
	back := make([]byte, len(text))
	_, err = io.ReadFull(in, back)
	must(t, err)
	equal(t, "echo", string(back), text)
}
