package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	for status, code := range map[int]int{200: 0, 503: 1, 404: 1} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, "asked for %s\n", r.URL.Path)
		}))
		address := strings.TrimPrefix(server.URL, "http://")
		if got, stdout, stderr := ran(t, "health", "--ops", address); got != code || stdout != "asked for /readyz\n" || stderr != "" {
			t.Errorf("%d: got %d, %q, %q", status, got, stdout, stderr)
		}
		if got, stdout, _ := ran(t, "health", "--ops", server.URL+"/"); got != code || stdout != "asked for /readyz\n" {
			t.Errorf("%d, by URL: got %d, %q", status, got, stdout)
		}
		server.Close()
		if got, stdout, stderr := ran(t, "health", "--ops", address); got != 1 || stdout != "" || !strings.HasPrefix(stderr, "meshpass: no answer: ") {
			t.Errorf("nobody there: got %d, %q, %q", got, stdout, stderr)
		}
	}
}
