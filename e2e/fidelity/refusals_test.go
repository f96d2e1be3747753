package fidelity_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/identity"
)

// testRefusals: the client gets the whole of our answer and nothing else: a
// stable reason, and the transaction where the token was verified.
func (h *hop) testRefusals(t *testing.T) {
	token := "Txn-Token: " + tokentest.ValidToken(t, time.Now())
	txn := tokentest.Identity().Txn
	for _, row := range []struct {
		name, path, field string
		status            int
		body              string
		grpc              codes.Code
	}{
		{"the rules deny", "/admin", "X-A: 1", 403, `{"type":"about:blank","title":"Forbidden","status":403,"reason":"rule_denied"}`, codes.PermissionDenied},
		{"the path denies", "/a//b", "X-A: 1", 403, `{"type":"about:blank","title":"Forbidden","status":403,"reason":"ambiguous_path"}`, codes.PermissionDenied},
		{"the token fails", "/a", "Txn-Token: junk", 401, `{"type":"about:blank","title":"Unauthorized","status":401,"reason":"token_format"}`, codes.Unauthenticated},
		{"the rules deny a user", "/claims", token, 403, `{"type":"about:blank","title":"Forbidden","status":403,"reason":"rule_denied","txn":"` + txn + `"}`, codes.PermissionDenied},
	} {
		t.Run(row.name, func(t *testing.T) {
			o := h.try(t, request(row.path, row.field))
			equal(t, "decision", o.decision(t).Decision, "deny")
			equal(t, "status", o.reply.status, row.status)
			equal(t, "body", o.reply.body, row.body)
			equal(t, "content-type", o.reply.header.Get("content-type"), "application/problem+json")
			for name := range o.reply.header {
				if identity.IsReservedHeader(name) {
					t.Errorf("the answer has %s", name)
				}
			}
		})
		t.Run(row.name+", to gRPC", func(t *testing.T) {
			name, value, _ := strings.Cut(row.field, ": ")
			got := h.h2(t, usual("POST", row.path, "content-type", "application/grpc", "te", "trailers", strings.ToLower(name), value))
			h.outcome(t, reply{}).decision(t)
			equal(t, ":status", got.fields[":status"], "200")
			equal(t, "grpc-status", got.fields["grpc-status"], strconv.Itoa(int(row.grpc)))
			equal(t, "grpc-message", unescape(t, got.fields["grpc-message"]), row.body)
		})
	}
	t.Run("HEAD has no body", func(t *testing.T) {
		o := h.try(t, "HEAD /admin HTTP/1.1\r\n"+head("Host: "+ordersHost))
		equal(t, "status", o.reply.status, 403)
		equal(t, "body", o.reply.body, "")
	})
	t.Run("an open stream", h.testOpenStream)
	t.Run("a WebSocket", h.testWebSocket)
}

// testOpenStream: the body need not have come.
func (h *hop) testOpenStream(t *testing.T) {
	s := h.openStream(t, usual("POST", "/admin", "content-type", "application/grpc", "te", "trailers"), false)
	head, ok := s.next(t).(*http2.MetaHeadersFrame)
	if !ok || !head.StreamEnded() {
		t.Fatalf("got %v, want the whole answer in a head", head)
	}
	equal(t, "reason", h.outcome(t, reply{}).decision(t).Reason, "rule_denied")
}

func (h *hop) testWebSocket(t *testing.T) {
	o := h.try(t, "GET /admin HTTP/1.1\r\nHost: "+ordersHost+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	equal(t, "reason", o.decision(t).Reason, "rule_denied")
	equal(t, "status", o.reply.status, 403)
}

// testAccessLog: what our manifest writes into Envoy's access log leads to the
// audit record, and names the decision.
func (h *hop) testAccessLog(t *testing.T) {
	token := "Txn-Token: " + tokentest.ValidToken(t, time.Now())
	rows := []struct{ name, path, field string }{
		{"allowed with a token", "/log/token", token},
		{"allowed without", "/log/anonymous", "X-A: 1"},
		{"public", "/healthz", token},
		{"denied by a rule", "/admin/log", token},
		{"denied for the token", "/log/junk", "Txn-Token: junk"},
		{"denied for the path", "/log;x", token},
	}
	var paths []string
	records := map[string]record{}
	for _, row := range rows {
		paths = append(paths, row.path)
		records[row.path] = h.try(t, request(row.path, row.field)).decision(t)
	}
	log := h.logged(t, paths...)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			entry, r := log[row.path], records[row.path]
			got := record{ID: entry.DecisionID, Reason: entry.Reason, Policy: entry.Policy, Rule: entry.Rule, Txn: entry.Txn, Sub: entry.Sub}
			equal(t, "logged", got, record{ID: r.ID, Reason: r.Reason, Policy: r.Policy, Rule: r.Rule, Txn: r.Txn, Sub: r.Sub})
		})
	}
	equal(t, "sub", log["/log/token"].Sub, "idp:alice")
	equal(t, "txn", log["/log/token"].Txn, tokentest.Identity().Txn)
}
