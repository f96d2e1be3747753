package envoy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

const permissive = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: orders, namespace: shop}
spec: {selector: {matchLabels: {app: orders}}, mtls: {mode: PERMISSIVE}}
`

// A file that changes reaches a running Envoy. A half-written file changes nothing and is
// reported.
func TestChangedFileReachesEnvoy(t *testing.T) {
	r := newRig(t)
	r.fromIstiod(t)
	orders := r.start(t, "orders")
	r.authz.reset(codes.OK)
	file := filepath.Join(r.istio, "peer-authentication.yaml")

	must(t, os.WriteFile(file, []byte(permissive[:40]), 0o644))
	eventually(t, "istiod refuses the half-written file", func() bool {
		log, err := os.ReadFile(r.istiodLog())
		return err == nil && strings.Contains(string(log), "change refused") && strings.Contains(string(log), file)
	})
	if status, err := r.callInPlaintext(); err == nil {
		t.Fatalf("plaintext was answered %s under STRICT", status)
	}

	must(t, os.WriteFile(file, []byte(permissive), 0o644))
	eventually(t, "plaintext is let in", func() bool {
		status, err := r.callInPlaintext()
		return err == nil && status == "200 OK"
	})
	must(t, orders.Check(t.Context()))
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not seen in time: %s", what)
		case <-tick.C:
		}
	}
}
