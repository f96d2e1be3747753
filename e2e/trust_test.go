package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/internal/atomicfile"
)

// Two gateways with issuers and keys of their own send into one mesh. West is trusted from when the
// configuration says so until it no longer does, without a restart, and East all the time; West's keys
// come from West's authorizer, and a key that is withdrawn there is refused here.
func TestTrustComesAndGoes(t *testing.T) {
	var both, eastOnly string
	config := func(dir string) string { return filepath.Join(dir, "meshpass.yaml") }
	mesh := start(t, localmesh.Options{Topology: "two-clusters", Istiod: true, Prepare: func(dir string) error {
		data, err := os.ReadFile(config(dir))
		if err != nil {
			return err
		}
		both = string(data)
		before, west, found := strings.Cut(both, "  - issuer: https://tyk-west")
		_, after, ends := strings.Cut(west, "\npolicies:")
		if !found || !ends {
			t.Error("the configuration has no entry for West")
		}
		eastOnly = before + "policies:" + after
		return nil
	}})
	put := func(file, content string) {
		t.Helper()
		if err := atomicfile.Write(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	keys := filepath.Join(mesh.Dir(), "west", "jwks.json")
	westKeys, err := os.ReadFile(keys)
	if err != nil {
		t.Fatal(err)
	}
	eastKeys, err := os.ReadFile(filepath.Join(mesh.Dir(), "jwks.json"))
	if err != nil {
		t.Fatal(err)
	}

	playWest(t, mesh, "trusted", 200, "rule_allowed")
	put(keys, string(eastKeys)) // West's authorizer would have East's key speak for West
	awaitLog(t, mesh, "meshpass", "is also a key of https://tyk.demo.meshpass.dev")
	playWest(t, mesh, "a set that is refused", 200, "rule_allowed")
	put(keys, string(westKeys))
	// insecure.jwksOverHTTP stays: a start would reject it as needless, and the reload says so.
	put(config(mesh.Dir()), eastOnly)
	playWest(t, mesh, "no longer trusted", 403, "issuer_unknown")
	awaitLog(t, mesh, "meshpass", "a restart would reject the file")
	put(config(mesh.Dir()), both)
	playWest(t, mesh, "trusted again", 200, "rule_allowed")
}

// playWest sends through West's gateway until the reason is the expected one, and then plays strictly, for
// East too.
func playWest(t *testing.T, mesh *localmesh.Mesh, name string, status int, reason string) {
	t.Helper()
	path := "/jwt/tenants/acme/orders/1001"
	send := scenarios.Send{To: "gateway/tyk-gateway-west", Method: "GET", Path: path, As: "alice"}
	await(t, func() bool {
		answer, err := mesh.Send(t.Context(), scenarios.Request{ID: "await", Send: send})
		return err == nil && answer.Status == status
	})
	west := scenarios.Expect{Status: status, By: "meshpass", Body: map[string]string{"reason": reason}, Audit: []map[string]string{
		{"kind": "issue", "decision": "allow", "reason": "issued", "sub": "west:alice"},
		{"kind": "check", "callee": "ns/shop/sa/orders", "decision": "deny", "reason": reason},
	}}
	if status == 200 {
		west = allowed("west:alice", "west")
	}
	play(t, mesh, scenarios.Scenario{Name: strings.ReplaceAll(name, " ", "-"), Steps: []scenarios.Step{
		{Times: 1, Send: send, Expect: west},
		{Times: 1, Send: scenarios.Send{To: "gateway", Method: "GET", Path: path, As: "alice"}, Expect: allowed("demo:alice", "east")},
	}})
}

func allowed(subject, rule string) scenarios.Expect {
	return scenarios.Expect{Status: 200, By: "orders", Headers: map[string]string{"X-Meshpass-Txn": "*"}, Hits: []string{"orders", "inventory"}, Audit: []map[string]string{
		{"kind": "issue", "decision": "allow", "reason": "issued", "sub": subject},
		{"kind": "check", "callee": "ns/shop/sa/orders", "sub": subject, "decision": "allow", "reason": "rule_allowed", "rule": rule},
		{"kind": "check", "callee": "ns/shop/sa/inventory", "sub": subject, "decision": "allow", "reason": "rule_allowed"},
	}}
}

func awaitLog(t *testing.T, mesh *localmesh.Mesh, program, text string) {
	t.Helper()
	await(t, func() bool {
		log, err := os.ReadFile(filepath.Join(mesh.Dir(), program+".log"))
		return err == nil && strings.Contains(string(log), text)
	})
}

func await(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in 20 s")
		}
	}
}
