package sender_test

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

func TestSend(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/closed" {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Seen", r.Header.Get("X-Sent"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("fine"))
	}))
	defer server.Close()

	answer, err := sender.Send(t.Context(), sender.Message{Method: "GET", URL: server.URL + "/", Header: http.Header{"X-Sent": {"a"}}})
	if err != nil {
		t.Fatal(err)
	}
	if answer.Status != http.StatusTeapot || string(answer.Body) != "fine" || answer.Header.Get("X-Seen") != "a" {
		t.Errorf("got %d %q %v", answer.Status, answer.Body, answer.Header)
	}

	answer, err = sender.Send(t.Context(), sender.Message{Method: "GET", URL: server.URL + "/closed"})
	if diff := cmp.Diff(sender.Answer{Closed: true}, answer); diff != "" || err != nil {
		t.Errorf("a connection that is closed: %v (-want +got):\n%s", err, diff)
	}
}

func TestSendChoosesHostAddressAndTrust(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte(r.Host)) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	roots := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	at := strings.TrimPrefix(server.URL, "https://")
	// example.com is the name in httptest's certificate.
	tests := []struct {
		name    string
		message sender.Message
		body    string
		refused bool
	}{
		{"by its public name", sender.Message{URL: "https://example.com", Connect: at, TLS: &sender.TLS{Roots: roots}}, "example.com", false},
		{"another name", sender.Message{URL: "https://example.org", Connect: at, TLS: &sender.TLS{Roots: roots}}, "", true},
		{"no trusted authority", sender.Message{URL: "https://example.com", Connect: at}, "", true},
		{"for another host", sender.Message{URL: "https://example.com", Host: "orders", Connect: at, TLS: &sender.TLS{Roots: roots}}, "orders", false},
		{"roots that are none", sender.Message{URL: server.URL, TLS: &sender.TLS{Roots: []byte("x")}}, "", true},
		{"a certificate that is none", sender.Message{URL: server.URL, TLS: &sender.TLS{Cert: []byte("x")}}, "", true},
	}
	for _, test := range tests {
		answer, err := sender.Send(t.Context(), test.message)
		if string(answer.Body) != test.body || (err != nil) != test.refused {
			t.Errorf("%s: got %q, %v", test.name, answer.Body, err)
		}
	}
}

func TestTLSThatIsEndedIsAnAnswer(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	defer server.Close()
	trusted := &sender.TLS{Roots: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})}
	answer, err := sender.Send(t.Context(), sender.Message{URL: "https://example.com", Connect: strings.TrimPrefix(server.URL, "https://"), TLS: trusted})
	if diff := cmp.Diff(sender.Answer{Closed: true}, answer); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestLoadCountsEveryAnswer(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if served.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	load := sender.Load{Message: sender.Message{Method: "GET", URL: server.URL}, Workers: 3, Pause: time.Millisecond, For: 100 * time.Millisecond}
	tally := load.Run(t.Context())
	want := map[string]int{"200": int(served.Load()+1) / 2, "503": int(served.Load()) / 2}
	if diff := cmp.Diff(want, tally.All); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if tally.Sent() != int(served.Load()) || tally.Lost() != want["503"] {
		t.Errorf("sent %d, lost %d; the server saw %d", tally.Sent(), tally.Lost(), served.Load())
	}
}
