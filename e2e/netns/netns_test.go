package netns

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The addresses of the Services. No interface has them.
const (
	orders    = "10.96.0.11:8080"
	inventory = "10.96.0.12:8080"
)

// A program without mesh settings sends plain HTTP to the Service's address, by its name. Both hops
// use mutual TLS, both ask, and the Checks pass the authorizer's own sidecar.
func TestTransparentInterception(t *testing.T) {
	requireTools(t)
	m := startMesh(t, nil)
	gateway := m.pods["tyk-gateway"].dial
	for _, row := range []struct {
		name    string
		from    dialer
		to      string
		path    string
		token   string
		status  int
		records []map[string]string
	}{
		{"both hops allow", gateway, orders, "/tenants/acme/orders/1001", m.mint(), 200, []map[string]string{
			{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders", "decision": "allow", "reason": "rule_allowed"},
			{"caller": "ns/shop/sa/orders", "callee": "ns/shop/sa/inventory", "decision": "allow", "reason": "rule_allowed"},
		}},
		{"another tenant", gateway, orders, "/tenants/globex/orders/1001", m.mint(), 403, []map[string]string{
			{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders", "decision": "deny", "reason": "no_rule"},
		}},
		{"no token", gateway, orders, "/tenants/acme/orders/1001", "", 403, []map[string]string{
			{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders", "decision": "deny", "reason": "token_missing"},
		}},
		{"a caller that is not named", gateway, inventory, "/tenants/acme/items/1001", m.mint(), 403, []map[string]string{
			{"caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/inventory", "decision": "deny", "reason": "no_rule"},
		}},
		{"plaintext from outside all pods, to the program's own port", dialHere, m.pods["orders"].address + ":8080", "/tenants/acme/orders/1001", m.mint(), connectionClosed, nil},
		{"plaintext from outside all pods, to the sidecar's", dialHere, m.pods["orders"].address + ":15006", "/tenants/acme/orders/1001", m.mint(), connectionClosed, nil},
		{"plaintext to the authorizer", dialHere, m.pods["meshpass"].address + ":9000", "/envoy.service.auth.v3.Authorization/Check", m.mint(), connectionClosed, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			id := strings.ReplaceAll(t.Name(), "/", ".")
			if got := sendRequest(t, row.from, row.to, row.path, row.token, id); got != row.status {
				t.Errorf("got status %d, want %d", got, row.status)
			}
			if diff := cmp.Diff(row.records, m.awaitRecords(t, id, len(row.records))); diff != "" {
				t.Errorf("audit records (-want +got):\n%s", diff)
			}
		})
	}
}

// requireTools leaves the test out on a machine without root, or without the programs that make namespaces.
func requireTools(t *testing.T) {
	t.Helper()
	for _, tool := range []struct{ program, debian string }{{"ip", "iproute2"}, {"iptables", "iptables"}, {"setpriv", "util-linux"}} {
		if _, err := exec.LookPath(tool.program); err != nil {
			t.Skip("NOT RUN: transparent interception: needs " + tool.debian)
		}
	}
	if exec.Command("unshare", "--net", "--mount", "true").Run() != nil {
		t.Skip("NOT RUN: transparent interception: needs root")
	}
}

// connectionClosed replaces the status if the connection was closed without an answer.
const connectionClosed = 0

func sendRequest(t *testing.T, from dialer, to, path, token, id string) int {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return from(ctx, to) }}
	defer transport.CloseIdleConnections()
	host := map[string]string{orders: "orders.shop.svc.cluster.local:8080", inventory: "inventory.shop.svc.cluster.local:8080"}[to]
	if host == "" {
		host = to
	}
	request := must(http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+path, nil))
	request.Header.Set("X-Request-Id", id)
	if token != "" {
		request.Header.Set("Txn-Token", token)
	}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(request)
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return connectionClosed
	}
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// awaitRecords waits until a request has the wanted number of audit records, and returns all of them
// with the fields that the rows name.
func (m *mesh) awaitRecords(t *testing.T, id string, wanted int) []map[string]string {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		found := m.readRecords(t, id)
		if len(found) >= wanted || time.Now().After(deadline) {
			return found
		}
		<-time.After(20 * time.Millisecond)
	}
}

func (m *mesh) readRecords(t *testing.T, id string) []map[string]string {
	t.Helper()
	var found []map[string]string
	for line := range bytes.Lines([]byte(readFile(t, m.filePath("meshpass.out")))) {
		var record map[string]any
		if json.Unmarshal(line, &record) != nil || record["request_id"] != id {
			continue
		}
		fields := map[string]string{}
		for name, value := range record {
			if slices.Contains([]string{"caller", "callee", "decision", "reason"}, name) {
				fields[name], _ = value.(string)
			}
		}
		found = append(found, fields)
	}
	return found
}
