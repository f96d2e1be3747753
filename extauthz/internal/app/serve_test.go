package app

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/internal/audittest"
)

func TestHealthFromReadyToStop(t *testing.T) {
	r := start(t, "testdata/valid.yaml")
	client := healthpb.NewHealthClient(dial(t, r.addresses()[0]))
	for _, service := range []string{"", check.ServiceName} {
		answer, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: service})
		if err != nil || answer.GetStatus() != healthpb.HealthCheckResponse_SERVING {
			t.Errorf("service %q: got %v, %v", service, answer, err)
		}
	}

	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{Service: check.ServiceName})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, watch, healthpb.HealthCheckResponse_SERVING)
	r.stop()
	expect(t, watch, healthpb.HealthCheckResponse_NOT_SERVING)

	// The watcher never lets go: that Run returns shows that the drain is bounded.
	if err := r.wait(t); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func expect(t *testing.T, watch grpc.ServerStreamingClient[healthpb.HealthCheckResponse], want healthpb.HealthCheckResponse_ServingStatus) {
	t.Helper()
	answer, err := watch.Recv()
	if err != nil || answer.GetStatus() != want {
		t.Fatalf("got %v, %v, want %v", answer, err, want)
	}
}

// Each listener answers in its own name and with its own status, and stdout
// carries nothing but audit records.
func TestListenersAnswer(t *testing.T) {
	r := start(t, "testdata/valid.yaml")
	for _, address := range r.addresses() {
		client := auth.NewAuthorizationClient(dial(t, address))
		answer, err := client.Check(t.Context(), &auth.CheckRequest{})
		if err != nil || codes.Code(answer.GetStatus().GetCode()) != codes.PermissionDenied {
			t.Errorf("%s: got %v, %v", address, answer, err)
		}
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSuffix(r.stdout.String(), "\n"), "\n")
	if len(lines) != 2 {
		t.Fatalf("got %d audit records:\n%s", len(lines), r.stdout.String())
	}
	for i, name := range []string{"sidecar", "strict"} {
		if !strings.Contains(lines[i], `"kind":"check"`) || !strings.Contains(lines[i], `"listener":"`+name+`"`) {
			t.Errorf("got %s, want a check on %s", lines[i], name)
		}
	}
}

func TestPortTaken(t *testing.T) {
	taken, free := listen(t), listen(t)
	defer release(t, taken)
	release(t, free)
	file := writeConfig(t, fmt.Sprintf(`
listeners:
  - {name: one, grpc: "%s", caller: principal, callee: principal}
  - {name: two, grpc: "%s", caller: principal, callee: principal}
`, free.Addr(), taken.Addr()))
	err := Run(t.Context(), process(file))
	want := fmt.Sprintf(`listener "two": cannot listen on %s: bind: address already in use`, taken.Addr())
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	again, err := net.Listen("tcp", free.Addr().String())
	if err != nil {
		t.Fatalf("the first listener was left behind: %v", err)
	}
	release(t, again)
}

func TestAuditFile(t *testing.T) {
	file := writeConfig(t, `
listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
audit: {output: audit.jsonl}
`)
	for range 2 {
		r := start(t, file)
		if _, err := auth.NewAuthorizationClient(dial(t, r.addresses()[0])).Check(t.Context(), &auth.CheckRequest{}); err != nil {
			t.Error(err)
		}
		if err := r.end(t); err != nil {
			t.Error(err)
		}
		if got := r.stdout.String(); got != "" {
			t.Errorf("stdout: got %s", got)
		}
	}
	records, err := os.ReadFile(filepath.Join(filepath.Dir(file), "audit.jsonl"))
	if err != nil || strings.Count(string(records), "\n") != 2 {
		t.Errorf("got %s, %v, want two records: a restart appends", records, err)
	}
	audittest.CheckLines(t, string(records))
}

// The settings of the section reach the records, and /status says what they are.
func TestAuditSettings(t *testing.T) {
	r := start(t, writeConfig(t, `
listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
ops: "127.0.0.1:0"
audit: {sampleAllowed: 0, mask: [sub, path]}
`))
	client := auth.NewAuthorizationClient(dial(t, r.addresses()[0]))
	for _, path := range []string{"/tenants/acme/orders/7", "/tenants/umbrella/orders/7"} {
		request := order(t, "spiffe://cluster.local/ns/edge/sa/tyk-gateway")
		request.Attributes.Request.Http.Path = path
		if _, err := client.Check(t.Context(), request); err != nil {
			t.Fatal(err)
		}
	}
	_, text := get(t, r.ops()+"/status")
	var report status.Report
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		t.Fatal(err)
	}
	if a := report.Audit; a.Required || *a.SampleAllowed != 0 || fmt.Sprint(a.Mask) != "[sub path]" || a.Sampled != 1 {
		t.Errorf("got %s", text)
	}
	if _, text := get(t, r.ops()+"/readyz?verbose"); !strings.Contains(text, ", sampleAllowed 0 left out 1, masked sub path\n") {
		t.Errorf("got %s", text)
	}
	if _, text := get(t, r.ops()+"/metrics"); !strings.Contains(text, "\nmeshpass_audit_records_sampled_total 1\n") {
		t.Errorf("got %s", text)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
	got := r.stdout.String()
	for part, times := range map[string]int{"\n": 2, `"path":"masked"`: 1, `"sub":"masked"`: 1, "idp:alice": 0, "umbrella": 0, `"cause":"sampled","count":1`: 1, `"reason":"rule_allowed"`: 0} {
		if strings.Count(got, part) != times {
			t.Errorf("%q is there %d times, want %d: %s", part, strings.Count(got, part), times, got)
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func release(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// writeConfig completes a configuration with trust and policies of testdata.
func writeConfig(t *testing.T, text string, tls ...string) string {
	t.Helper()
	tls = append(tls, "{mode: plaintext}")
	testdata, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	text += fmt.Sprintf(`
tls: %s
trust: [{issuer: "https://tyk.test.meshpass.dev", audience: test.meshpass.dev, jwks: {file: "%s/jwks.json"}}]
policies: {dirs: [{path: "%s/policies"}]}
`, tls[0], testdata, testdata)
	file := filepath.Join(t.TempDir(), "meshpass.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { release(t, conn) })
	return conn
}
