package sender_test

import (
	"net/http"
	"net/http/httptest"
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
