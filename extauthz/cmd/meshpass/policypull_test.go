package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/policypull"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/registry"
)

// TestPolicyPullFollows: --every reports a pull that fails and tries again, prints each change once, and ends with 0 when it is interrupted.
func TestPolicyPullFollows(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server, dir := registry.Start(t), t.TempDir()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	push := func(content string) string {
		return server.Push(t, "policies", "1", registry.File{Name: "orders.yaml", Content: content})
	}
	var digests, printed, stderr []string
	onOutput := writerFunc(func(p []byte) (int, error) {
		var pulled policypull.Pulled
		if err := json.Unmarshal(p, &pulled); err == nil && pulled.Digest != "" {
			printed = append(printed, pulled.Digest)
			if digests = append(digests, push("second")); len(printed) == 2 {
				stop()
			}
		}
		return len(p), nil
	})
	onError := writerFunc(func(p []byte) (int, error) {
		if stderr = append(stderr, string(p)); len(stderr) == 1 {
			digests = append(digests, push("first"))
		}
		return len(p), nil
	})
	code := run(ctx, []string{"policy", "pull", server.Host + "/policies:1", "--plain-http", "--dir", dir, "--every", "1s", "-o", "json"}, strings.NewReader(""), onOutput, onError)
	if code != 0 || len(printed) != 2 || printed[0] != digests[0] || printed[1] != digests[1] || printed[0] == printed[1] {
		t.Errorf("exit code %d, printed %q, want two of %q", code, printed, digests)
	}
	if len(stderr) != 1 || !strings.Contains(stderr[0], "/policies:1: ") {
		t.Errorf("on standard error: %q", stderr)
	}
	if code, stdout, stderr := ran(t, "policy", "pull", server.Host+"/policies:1", "--plain-http", "--dir", dir); code != 0 || !strings.HasPrefix(stdout, digests[1]) || !strings.HasSuffix(stdout, "(unchanged)\n") {
		t.Errorf("once more: %d %s%s", code, stdout, stderr)
	}
}
