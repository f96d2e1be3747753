package drills

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// aloneConfig has the folder of the files, more trust entries and more sections. Checks have much time, because a busy
// machine takes its own.
const aloneConfig = `
listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
ops: "127.0.0.1:0"
tls: {mode: plaintext}
trust:
  - {issuer: "https://tyk.demo.meshpass.dev", audience: demo.meshpass.dev, jwks: {file: %[1]s/jwks.json}, requesters: [ns/edge/sa/tyk-gateway]}
%[2]s
policies: {dirs: [{path: %[1]s/policies}]}
%[3]s
`

// alone is an authorizer without a mesh: the test itself asks it.
type alone struct {
	*process.Proc
	files     string // folder of all its files
	log       string // file
	grpc, ops string // addresses
	token     string
}

type aloneSetup struct {
	trust    string // more entries
	sections string // more sections; empty: time for Checks
	stdout   string // file; empty: one that the test reads at its end

	nameServer string // IP address; empty: the machine's
}

const patientChecks = "limits: {deadline: 10s}"

// launchAlone starts the process, and does not wait for it.
func launchAlone(t *testing.T, s aloneSetup) *alone {
	t.Helper()
	dir := t.TempDir()
	a := &alone{files: filepath.Join(dir, "etc"), log: filepath.Join(dir, "log"), token: newTokens(t).valid}
	if s.sections == "" {
		s.sections = patientChecks
	}
	policy := mustGet(os.ReadFile(filepath.Join(mustGet(repo.Root())(t), "manifests", "policies", "orders.yaml")))(t)
	a.writeAll(t, map[string][]byte{
		"meshpass.yaml": fmt.Appendf(nil, aloneConfig, a.files, s.trust, s.sections), "jwks.json": tokentest.JWKS(t), "policies/orders.yaml": policy,
	})
	if s.stdout == "" {
		s.stdout = filepath.Join(dir, "audit.log")
	}
	spec := a.spec(t, s.stdout)
	if s.nameServer != "" {
		resolver := filepath.Join(dir, "resolv.conf")
		must(t, os.WriteFile(resolver, []byte("nameserver "+s.nameServer+"\n"), 0o644))
		// Each program replaces the one before it, so that the process stays one.
		spec.Args = append([]string{"--mount", "sh", "-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, resolver, spec.Path}, spec.Args...)
		spec.Path = mustGet(exec.LookPath("unshare"))(t)
	}
	a.Proc = mustGet(process.Start(spec))(t)
	t.Cleanup(func() {
		a.Kill()
		<-a.Done()
		audittest.CheckFiles(t, s.stdout)
	})
	return a
}

// startAlone returns when Checks are answered.
func startAlone(t *testing.T, s aloneSetup) *alone {
	t.Helper()
	a := launchAlone(t, s)
	eventually(t, "the authorizer serves", func() bool {
		if err := a.Err(); err != nil {
			t.Fatalf("%v: %s", err, a.readLog(t))
		}
		return strings.Contains(a.readLog(t), `"msg":"serving"`)
	})
	address := regexp.MustCompile(`"msg":"(?:listening|probes and metrics)",.*"address":"([^"]+)"`).FindAllStringSubmatch(a.readLog(t), 2)
	a.grpc, a.ops = address[0][1], address[1][1]
	return a
}

func (a *alone) spec(t *testing.T, stdout string) process.Spec {
	return process.Spec{
		Name: "meshpass", Path: mustGet(repo.Bin("meshpass", "build"))(t), Stdout: stdout, Stderr: a.log,
		Args: []string{"serve", "--config", filepath.Join(a.files, "meshpass.yaml"), "--drain-delay", "0s"},
	}
}

func (a *alone) writeAll(t *testing.T, files map[string][]byte) {
	t.Helper()
	must(t, os.MkdirAll(filepath.Join(a.files, "policies"), 0o700))
	for name, data := range files {
		must(t, os.WriteFile(filepath.Join(a.files, name), data, 0o600))
	}
}

func (a *alone) readLog(t *testing.T) string {
	t.Helper()
	return string(mustGet(os.ReadFile(a.log))(t))
}

// peer asks on one connection of its own, from an address of loopback.
type peer struct {
	auth.AuthorizationClient
	a *alone
}

func (a *alone) newPeer(t *testing.T, from string) peer {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn := mustGet(grpc.NewClient("passthrough:///"+a.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		})))(t)
	stopAtEnd(t, conn.Close)
	return peer{auth.NewAuthorizationClient(conn), a}
}

// ask asks about a request for an order of the user's tenant, and wants it allowed.
func (p peer) ask(t *testing.T) {
	t.Helper()
	if got, err := p.askWith(t.Context(), p.a.token); got != "allow" {
		t.Fatalf("got %s, %v", got, err)
	}
}

// askWith returns "allow", or the status and body of a denial.
func (p peer) askWith(ctx context.Context, token string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer, err := p.Check(ctx, checks.New(token), grpc.WaitForReady(true))
	if err != nil {
		return "", err
	}
	return checks.AnswerText(answer), nil
}

// patience bounds what happens at once on a machine that is not busy.
const patience = time.Minute

// get returns the status and body of an operations page. The client's connection stays open.
func (a *alone) get(t *testing.T, client *http.Client, path string) (int, string) {
	t.Helper()
	response := mustGet(client.Get("http://" + a.ops + path))(t)
	defer response.Body.Close()
	return response.StatusCode, string(mustGet(io.ReadAll(response.Body))(t))
}

// metric returns the value of a sample; -1: there is none.
func (a *alone) metric(t *testing.T, client *http.Client, sample string) int {
	t.Helper()
	_, text := a.get(t, client, "/metrics")
	_, after, found := strings.Cut(text, "\n"+sample+" ")
	line, _, _ := strings.Cut(after, "\n")
	if !found {
		return -1
	}
	return int(mustGet(strconv.ParseFloat(line, 64))(t))
}

func (a *alone) awaitMetric(t *testing.T, client *http.Client, sample string, value int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %d", sample, value), func() bool { return a.metric(t, client, sample) == value })
}

// newOpsClient returns a client with a connection of its own.
func newOpsClient(t *testing.T) *http.Client {
	transport := &http.Transport{Proxy: nil}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// awaitEnd sends SIGTERM and wants the process to end within its stated time, with an exit code.
func (a *alone) awaitEnd(t *testing.T, code int) {
	t.Helper()
	must(t, a.signalEnd())
	select {
	case <-a.Done():
	case <-time.After(statedEnd):
		t.Fatalf("SIGTERM does not end the process within %v: %s", statedEnd, a.readLog(t))
	}
	if err := a.Err(); !strings.Contains(err.Error(), fmt.Sprintf("(exit status %d)", code)) {
		t.Errorf("after SIGTERM: %v, want exit code %d", err, code)
	}
}
