package fidelity_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// TestObserve: the label's value for onboarding refuses nothing by itself. What comes over mutual TLS is
// asked about, plaintext is let in as before, and so is everything while nobody answers.
func TestObserve(t *testing.T) {
	r := newRig(t, observing)
	e := &alone{rig: r, recorder: newRecorder(t, r.authorizerAddress())}
	send := func(t *testing.T, conn net.Conn) views {
		t.Helper()
		defer conn.Close()
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err := io.WriteString(conn, request("/o"))
		must(t, err)
		v := views{reply: readReply(t, bufio.NewReader(conn), "GET"), arrived: e.arrivals()}
		for _, check := range e.recorder.take() {
			v.asked = append(v.asked, check.GetAttributes().GetRequest().GetHttp())
		}
		return v
	}
	dial := func(t *testing.T) net.Conn {
		t.Helper()
		conn, err := net.DialTimeout("tcp", r.orders.Address+":8080", patience)
		must(t, err)
		return conn
	}
	// As a caller's sidecar does it.
	mutual := func(t *testing.T) net.Conn {
		t.Helper()
		return tls.Client(dial(t), &tls.Config{
			Certificates: []tls.Certificate{r.identity}, NextProtos: []string{"istio-peer-exchange", "istio"}, MinVersion: tls.VersionTLS12,
			ServerName: "outbound_.8080_._.orders.shop.svc.cluster.local", InsecureSkipVerify: true, // its certificate names no host
		})
	}
	t.Run("mutual TLS is asked about", func(t *testing.T) {
		asked, _ := send(t, mutual(t)).passed(t)
		equal(t, "path", asked.GetPath(), "/o")
	})
	t.Run("plaintext is not", func(t *testing.T) {
		v := send(t, dial(t))
		if v.reply.status != 200 || len(v.asked) != 0 || len(v.arrived) != 1 {
			t.Errorf("got %d, %d Checks, %d arrivals; want 200, none and one", v.reply.status, len(v.asked), len(v.arrived))
		}
	})
	t.Run("nobody answers", func(t *testing.T) {
		e.says(t, func() (*auth.CheckResponse, error) { return nil, status.Error(codes.Unavailable, "away") })
		send(t, mutual(t)).passed(t)
	})
}
