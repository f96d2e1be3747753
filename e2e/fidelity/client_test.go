package fidelity_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

const ordersHost = "orders.shop.svc.cluster.local:8080"

// request is a GET of a target, with further fields, each "name: value".
func request(target string, fields ...string) string {
	return "GET " + target + " HTTP/1.1\r\n" + head(append([]string{"Host: " + ordersHost}, fields...)...)
}

// head is the fields, and that nothing follows on this connection.
func head(fields ...string) string {
	return strings.Join(append(fields, "Connection: close"), "\r\n") + "\r\n\r\n"
}

// reply is what came back. A status of 0 means that the Envoy closed the
// connection without an answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// dial opens a connection to the Envoy of orders, as the caller.
func (r *rig) dial(t testing.TB, protocols ...string) *tls.Conn {
	t.Helper()
	raw, err := net.DialTimeout("tcp", r.orders.Address+":8080", patience)
	must(t, err)
	must(t, raw.SetDeadline(time.Now().Add(patience)))
	conn := tls.Client(raw, &tls.Config{
		Certificates: []tls.Certificate{r.identity}, NextProtos: protocols, MinVersion: tls.VersionTLS12,
		InsecureSkipVerify: true, // the tests know the server, and its certificate names no host
	})
	must(t, conn.Handshake())
	return conn
}

// send writes bytes on a connection of their own and returns all replies, up to
// the end of the connection.
func (r *rig) send(t testing.TB, raw string) []reply {
	t.Helper()
	conn := r.dial(t, "http/1.1")
	defer conn.Close()
	_, err := io.WriteString(conn, raw)
	must(t, err)
	return replies(t, bufio.NewReader(conn), raw)
}

// one is send for a single request: it does not wait for the end of the
// connection, which comes a second after a refusal (delayed_close_timeout).
func (r *rig) one(t testing.TB, raw string) reply {
	t.Helper()
	conn := r.dial(t, "http/1.1")
	defer conn.Close()
	_, err := io.WriteString(conn, raw)
	must(t, err)
	in := bufio.NewReader(conn)
	if over(in) {
		return reply{}
	}
	return readReply(t, in, methodOf(raw))
}

func replies(t testing.TB, in *bufio.Reader, sent string) []reply {
	t.Helper()
	var all []reply
	for !over(in) {
		all = append(all, readReply(t, in, methodOf(sent)))
	}
	return all
}

func methodOf(raw string) string {
	method, _, _ := strings.Cut(raw, " ")
	return method
}

// over reports that the Envoy has ended the connection.
func over(in *bufio.Reader) bool {
	_, err := in.Peek(1)
	return errors.Is(err, io.EOF) || reset(err)
}

// reset tells a connection that was torn down from one that ended; for a
// request that is no request Envoy does either.
func reset(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && !op.Timeout()
}

func readReply(t testing.TB, r *bufio.Reader, method string) reply {
	t.Helper()
	response, err := http.ReadResponse(r, &http.Request{Method: method})
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return reply{response.StatusCode, response.Header, string(body)}
}
