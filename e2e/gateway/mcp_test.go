//go:build mcp

package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// These tests ask a gateway of release 5.13 or later, which is a proxy for MCP servers. make compat runs them, with
// the releases that it builds; the upstream represents the MCP server and answers every request.

// mcpAPI is a proxy: our shipped hooks in OpenAPI form, and tools.
func mcpAPI(id, middleware, server string) string {
	document := strings.ReplaceAll(openAPI, "SELF", id)
	document = strings.Replace(document, `"middleware": {`, `"middleware": {`+middleware, 1)
	document = strings.Replace(document, `"global": {`, `"global": {"trafficLogs": {"enabled": true}, `, 1)
	return strings.Replace(document, `"server": {`, `"server": {`+server, 1)
}

const (
	addTool     = `"mcpTools": {"add": {"allow": {"enabled": true}}}, `
	limitedTool = `"mcpTools": {"add": {"allow": {"enabled": true}, "rateLimit": {"enabled": true, "rate": 1, "per": "1m"}}}, `
	webhook     = `"eventHandlers": [{"enabled": true, "trigger": "RatelimitExceeded", "type": "webhook", "name": "hook", "url": "http://127.0.0.1:1/", "method": "POST", "cooldownPeriod": "1s", "bodyTemplate": ""}], `
)

var mcpAPIs = []struct{ id, middleware, server string }{
	{"mcp", addTool, ""},
	{"mcp-limited", limitedTool, ""},
	{"mcp-event", addTool, webhook},
	{"mcp-header", `"mcpTools": {"add": {"allow": {"enabled": true}, "transformRequestHeaders": {"enabled": true, "remove": ["Txn-Token"]}}}, `, ""},
	{"mcp-virtual", `"mcpTools": {"add": {"allow": {"enabled": true}, "virtualEndpoint": {"enabled": true, "functionName": "f", "body": "ZnVuY3Rpb24gZigpIHt9"}}}, `, ""},
	{"mcp-plugin", `"mcpTools": {"add": {"allow": {"enabled": true}, "postPlugins": [{"enabled": true, "functionName": "StripIdentity", "path": "plugins/identity.so"}]}}, `, ""},
	{"mcp-recorded", addTool, `"detailedActivityLogs": {"enabled": true}, `},
}

// TestMCP: JSON-RPC calls are signed once, and the token is nowhere but on the request to the server.
func TestMCP(t *testing.T) {
	r := start(t, setup{conf: `{"enable_analytics": true, "log_level": "debug"}`}).serving(t)
	rights := []string{}
	for _, api := range mcpAPIs {
		r.control200(t, http.MethodPost, "/tyk/mcps", r.fill(mcpAPI(api.id, api.middleware, api.server)))
		rights = append(rights, fmt.Sprintf(`%q: {"api_id": %[1]q, "api_name": %[1]q, "versions": ["Default"]}`, api.id))
	}
	r.control200(t, http.MethodGet, "/tyk/reload/group?block=true", "")
	key := r.create(t, "/tyk/keys/create", `{"apply_policies": [], "meta_data": {"developer_id": "partner-7"}, "access_rights": {`+strings.Join(rights, ",")+`}}`)["key"].(string)

	const tool, list, initialize = `{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "add", "arguments": {"a": 1}}}`,
		`{"jsonrpc": "2.0", "id": 2, "method": "tools/list"}`, `{"jsonrpc": "2.0", "id": 3, "method": "initialize", "params": {}}`
	ours, refused := answer{200, "", signed}, answer{500, "config_invalid", unreached}
	rows := []struct {
		name, api, body string
		want            answer
	}{
		{"a tool", "mcp", tool, ours},
		{"the list of tools", "mcp", list, ours},
		{"initialize", "mcp", initialize, ours},
		{"a stream of events", "mcp", "", ours},
		{"a tool within its rate limit", "mcp-limited", tool, ours},
		{"a tool beyond its rate limit", "mcp-limited", tool, answer{429, "", unreached}},
		{"an event handler", "mcp-event", tool, refused},
		{"an event handler, without JSON-RPC", "mcp-event", "", ours},
		{"a header transform", "mcp-header", tool, refused},
		{"a virtual endpoint", "mcp-virtual", tool, refused},
		{"a plugin of a tool", "mcp-plugin", tool, refused},
		{"detailed recording", "mcp-recorded", tool, answer{500, "detailed_recording", unreached}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			var got sent
			r.await(t, func(context.Context) error {
				got = r.sendMCP(t, row.api, key, row.body)
				if got.status == http.StatusNotFound {
					return fmt.Errorf("not loaded: %s", got.body)
				}
				return nil
			})
			if row.want.status == http.StatusTooManyRequests {
				got.says = "" // Tyk's own words
			}
			if got.answer != row.want {
				t.Fatalf("got %+v, want %+v\n%s", got.answer, row.want, got.body)
			}
			if got.claims != nil && got.claims.Subject != "key:partner-7" {
				t.Errorf("signed for %s", got.claims.Subject)
			}
		})
	}
	r.oneRecordPerToken(t)
	r.nowhereElse(t)
}

func (r *rig) sendMCP(t *testing.T, api, key, body string) sent {
	t.Helper()
	c := call{method: http.MethodGet, path: "/" + api + "/", header: http.Header{"Authorization": {key}, "Accept": {"application/json, text/event-stream"}}}
	if body != "" {
		c.method, c.body = http.MethodPost, body
		c.header.Set("Content-Type", "application/json")
	}
	return r.send(t, c)
}

// oneRecordPerToken: however often Tyk takes a call through the chain, one token is issued and recorded.
func (r *rig) oneRecordPerToken(t *testing.T) {
	t.Helper()
	file, err := os.Open(r.path("audit.log"))
	must(t, err)
	defer file.Close()
	issued := map[string]int{}
	for decoder := json.NewDecoder(file); ; {
		var record struct{ Reason, Txn string }
		if err := decoder.Decode(&record); err == io.EOF {
			break
		} else {
			must(t, err)
		}
		if record.Reason == "issued" {
			issued[record.Txn]++
		}
	}
	for txn, n := range issued {
		if n != 1 {
			t.Errorf("%s was issued %d times", txn, n)
		}
	}
	if len(issued) != 7 { // those of the rows that are signed, and the one that Tyk refuses for its rate
		t.Errorf("%d tokens were issued, want 7", len(issued))
	}
}

// nowhereElse looks for tokens in what the gateway wrote: its log, the audit records, and Redis with its analytics.
func (r *rig) nowhereElse(t *testing.T) {
	t.Helper()
	const lastSigned = "mcp-event"
	r.await(t, func(context.Context) error {
		for _, key := range r.redis.Keys() {
			if records, err := r.redis.List(key); err == nil && strings.Contains(strings.Join(records, " "), lastSigned) {
				return nil
			}
		}
		return fmt.Errorf("no analytics of %s among %v", lastSigned, r.redis.Keys())
	})
	written := map[string]string{}
	for _, key := range r.redis.Keys() {
		value, _ := r.redis.Get(key)   // an error: it is no text
		values, _ := r.redis.List(key) // nor a list
		written["Redis, "+key] = value + strings.Join(values, " ")
	}
	for _, name := range []string{"tyk.log", "audit.log"} {
		data, err := os.ReadFile(r.path(name))
		must(t, err)
		written[name] = string(data)
	}
	r.upstream.lock.Lock()
	defer r.upstream.lock.Unlock()
	for where, text := range written {
		for _, raw := range base64s.FindAllString(text, -1) { // requests in events and detailed records
			if data, err := base64.StdEncoding.DecodeString(raw); err == nil {
				text += string(data)
			}
		}
		for _, tokens := range r.upstream.tokens {
			for _, token := range tokens {
				if token != forged && strings.Contains(text, token) {
					t.Errorf("%s holds a token", where)
				}
			}
		}
	}
}
