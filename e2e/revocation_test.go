package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// The gateway and the authorizer get lists of their own here, so that each is seen to refuse; a
// deployment gives both the same.
const (
	edgeList = "revoked-at-the-edge.yaml"
	hopList  = "revoked-at-the-hops.yaml"
	demo     = "https://tyk.demo.meshpass.dev"
)

// What meshpass revoke writes ends requests at the edge and at the hop, while both run, and lets
// them go on when it is taken back.
func TestRevocation(t *testing.T) {
	mesh := start(t, localmesh.Options{Prepare: func(dir string) error {
		for config, list := range map[string]string{"identity.yaml": edgeList, "meshpass.yaml": hopList} {
			if err := follows(filepath.Join(dir, config), list); err != nil {
				return err
			}
		}
		return hurried(filepath.Join(dir, "policies.json"))
	}})
	key, err := mesh.AuthorizationHeader(t.Context(), "partner")
	if err != nil {
		t.Fatal(err)
	}
	pem, err := filepath.Glob(filepath.Join(mesh.Dir(), "keys", "*.pem"))
	if err != nil || len(pem) != 1 {
		t.Fatalf("keys: %v, %v", pem, err)
	}
	kid := strings.TrimSuffix(filepath.Base(pem[0]), ".pem")
	secret := filepath.Join(mesh.Dir(), "hmac")
	const alice, partner = "/jwt/tenants/acme/orders/1001", "/key/tenants/acme/orders/1001"
	for _, row := range []struct {
		name, list, path, as string
		input                string
		args                 []string
		by                   string
		status               int
	}{
		{"a user at the hop", hopList, alice, "alice", "", []string{"sub", "--for", "1h", "demo:alice"}, "meshpass", 403},
		{"a user at the edge", edgeList, alice, "alice", "", []string{"sub", "--for", "1h", "demo:alice"}, "plugin", 401},
		{"a session at the hop", hopList, partner, "partner", key, []string{"sid", "--for", "1h", "--secret-file", secret}, "meshpass", 403},
		{"a session at the edge", edgeList, partner, "partner", key, []string{"sid", "--for", "1h", "--secret-file", secret}, "plugin", 401},
		{"a key at the hop", hopList, alice, "alice", "", []string{"kid", "--for", "1h", kid}, "meshpass", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			answered(t, mesh, row.path, row.as, "orders", 200)
			list := filepath.Join(mesh.Dir(), row.list)
			meshpass(t, row.input, append([]string{"revoke", row.args[0], "--file", list, "--issuer", demo}, row.args[1:]...)...)
			took := answered(t, mesh, row.path, row.as, row.by, row.status)
			t.Logf("refused %v after the write", took.Round(time.Millisecond))
			play(t, mesh, scenarios.Scenario{Name: "revoked", Steps: []scenarios.Step{{Times: 1,
				Send:   scenarios.Send{To: "gateway", Method: "GET", Path: row.path, As: row.as},
				Expect: scenarios.Expect{Status: row.status, By: row.by, Body: map[string]string{"reason": "token_revoked"}, Audit: refusal(row.by)},
			}}})
			if err := os.WriteFile(list, []byte("revocations: []\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			answered(t, mesh, row.path, row.as, "orders", 200)
		})
	}
}

// refusal is the audit trail of a request that is revoked there.
func refusal(by string) []map[string]string {
	if by == "plugin" {
		return []map[string]string{{"kind": "edge", "decision": "deny", "reason": "token_revoked"}}
	}
	return []map[string]string{
		{"kind": "issue", "decision": "allow", "reason": "issued"},
		{"kind": "check", "callee": "ns/shop/sa/orders", "decision": "deny", "reason": "token_revoked"},
	}
}

// follows makes an empty list and names it in a configuration.
func follows(config, list string) error {
	text, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	if err := os.WriteFile(config, append(text, "revocation: {file: "+list+"}\n"...), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(filepath.Dir(config), list), []byte("revocations: []\n"), 0o600)
}

// hurried lets the partner ask again and again, as it takes to see when an answer changes.
func hurried(policies string) error {
	text, err := os.ReadFile(policies)
	if err != nil {
		return err
	}
	return os.WriteFile(policies, bytes.Replace(text, []byte(`"rate": 5,`), []byte(`"rate": 5000,`), 1), 0o600)
}

// answered sends until the answer is that, and says how long it took.
func answered(t *testing.T, mesh *localmesh.Mesh, path, as, by string, status int) time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	began, last := time.Now(), scenarios.Answer{}
	for n := 0; ; n++ {
		answer, err := mesh.Send(ctx, scenarios.Request{ID: fmt.Sprintf("%s-%d", t.Name(), began.UnixNano()+int64(n)),
			Send: scenarios.Send{To: "gateway", Method: "GET", Path: path, As: as}})
		if err != nil {
			t.Fatalf("want %d by %s, last was %d by %s: %v", status, by, last.Status, last.AnsweredBy(), err)
		}
		if last = answer; answer.Status == status && answer.AnsweredBy() == by {
			return time.Since(began)
		}
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// meshpass runs the program as an operator does.
func meshpass(t *testing.T, input string, args ...string) {
	t.Helper()
	program, err := repo.Bin("meshpass", "meshpass")
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Stdin = strings.NewReader(input)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		t.Fatalf("meshpass %s: %v\n%s", args[0], err, &output)
	}
}
