package service_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/services/service"
)

func TestAServicePassesOnTheTokenAndTheTrace(t *testing.T) {
	var seen http.Header
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header
		service.Reply(w, http.StatusOK, "fine")
	}))
	defer upstream.Close()
	client := calling(t, upstream.URL)
	app := service.Handler("orders", slog.New(slog.DiscardHandler), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := client.Get(r.Context(), "/items/1"); err != nil {
			t.Error(err)
		}
	}))

	request := httptest.NewRequest(http.MethodGet, "/", nil)
	request.Header.Set("Txn-Token", "a.b.c")
	request.Header.Set("X-Request-Id", "r1")
	request.Header.Set("Traceparent", "00-1-2-01")
	request.Header.Set("Authorization", "Bearer of-the-client")
	response := httptest.NewRecorder()
	app.ServeHTTP(response, request)

	if got := response.Header().Get(service.NameHeader); got != "orders" {
		t.Errorf("%s = %q, want orders", service.NameHeader, got)
	}
	got := map[string]string{}
	for _, name := range []string{"Txn-Token", "X-Request-Id", "Traceparent", "Authorization"} {
		got[name] = seen.Get(name)
	}
	want := map[string]string{"Txn-Token": "a.b.c", "X-Request-Id": "r1", "Traceparent": "00-1-2-01", "Authorization": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("headers at the upstream (-want +got):\n%s", diff)
	}
}

func TestARefusalIsAnAnswer(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "RBAC: access denied", http.StatusForbidden)
	}))
	defer upstream.Close()
	answer, err := calling(t, upstream.URL).Get(t.Context(), "/")
	if err != nil {
		t.Fatal(err)
	}
	want := service.Answer{Status: http.StatusForbidden, Body: []byte(`"RBAC: access denied\n"`)}
	if diff := cmp.Diff(want, answer); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func calling(t *testing.T, base string) *service.Upstream {
	t.Helper()
	upstream, err := service.NewUpstream(base, http.DefaultTransport)
	if err != nil {
		t.Fatal(err)
	}
	return upstream
}
