package gateway_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Tyk limits rates when the plugin knows who calls. Its event holds the refused request with all its
// headers, for webhooks with a template of their own and for other event handlers; a token is not among them yet.
func TestEventOfARefusedRequest(t *testing.T) {
	events := make(chan string, 1)
	webhook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		select {
		case events <- string(body):
		default: // the first one is enough
		}
	}))
	defer webhook.Close()
	r := start(t, setup{
		files: map[string]string{"event.json": `{{.Meta.OriginatingRequest}}`},
		apis: []definition{{id: "limited", json: `{"global_rate_limit": {"rate": 1, "per": 60}, "event_handlers": {"events": {"RatelimitExceeded": [
			{"handler_name": "eh_web_hook_handler", "handler_meta": {"method": "POST", "target_path": "` + webhook.URL + `", "template_path": "event.json"}}]}}}`}},
	}).serving(t)
	for range 3 {
		r.send(t, call{path: "/limited/", as: "key"})
	}
	var event string
	r.await(t, func(context.Context) error {
		select {
		case event = <-events:
			return nil
		default:
			return errors.New("no event yet")
		}
	})
	request, err := base64.StdEncoding.DecodeString(strings.TrimSpace(event))
	must(t, err)
	if !strings.Contains(string(request), "X-Request-Id: ") || strings.Contains(string(request), "Txn-Token") {
		t.Errorf("want the request without a token: %s", request)
	}
}
