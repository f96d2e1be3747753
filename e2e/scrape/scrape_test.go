package scrape_test

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/meshpass/meshpass/e2e/scrape"
)

func TestRead(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = io.WriteString(w, "# HELP a b\n# TYPE a gauge\na 1\nb{c=\"d e\"} 2.5\nf_bucket{le=\"1\"} 3 # {trace_id=\"9\"} 0.5\n")
	}))
	defer server.Close()
	got, err := scrape.Read(t.Context(), http.DefaultClient, server.Listener.Addr().String())
	want := scrape.Series{"a": "1", `b{c="d e"}`: "2.5", `f_bucket{le="1"}`: `3 # {trace_id="9"} 0.5`}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestReadErrors(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	address := server.Listener.Addr().String()
	if _, err := scrape.Read(t.Context(), http.DefaultClient, address); err == nil || err.Error() != "http://"+address+"/metrics: 404 Not Found" {
		t.Errorf("got %v", err)
	}
	server.Close()
	if _, err := scrape.Read(t.Context(), http.DefaultClient, address); err == nil {
		t.Error("a server that has ended has metrics")
	}
}
