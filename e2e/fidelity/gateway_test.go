package fidelity_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

// entrance is an ingress gateway, as Istio's control plane configures it, with the real authorizer.
// It routes some hosts to orders and all others to rest, a catch-all.
type entrance struct {
	*audited
	net          *subnet.Subnet
	dir          string
	gateway      envoy.Workload
	orders, rest *upstream
}

// TestGateway shows that the host by which a gateway routes is the host that was decided.
func TestGateway(t *testing.T) {
	e := newEntrance(t)
	t.Run("hosts", e.testHosts)
	t.Run("HTTP 2", e.testHTTP2Hosts)
}

func newEntrance(t *testing.T) *entrance {
	t.Helper()
	n, err := subnet.Claim()
	must(t, err)
	stopAtEnd(t, n.Release)
	e := &entrance{net: n, dir: t.TempDir()}
	workloads, err := cluster.LoadWorkloads(os.DirFS("testdata/gateway/cluster"), n.Prefix())
	must(t, err)
	e.gateway = workloads["istio-ingressgateway"]
	e.orders, e.rest = newUpstream(t, n.Addr(11)+":8080"), newUpstream(t, n.Addr(13)+":8080")
	e.startControlPlane(t)
	must(t, n.CopyDir(e.dir, os.DirFS("testdata/gateway")))
	e.audited = startMeshpass(t, n, e.dir, "testdata/gateway/policies", n.Addr(5)+":9020")
	e.startEnvoy(t)
	return e
}

// startControlPlane serves the objects of testdata/gateway beside what our manifests have for a gateway.
func (e *entrance) startControlPlane(t *testing.T) {
	t.Helper()
	root, err := repo.Root()
	must(t, err)
	objects, istio := t.TempDir(), t.TempDir()
	must(t, e.net.CopyDir(objects, os.DirFS("testdata/gateway/cluster")))
	must(t, e.net.CopyDir(istio, os.DirFS(filepath.Join(root, "manifests", "istio"))))
	for _, name := range []string{"authorization-policy.yaml", "listener.yaml"} {
		data, err := os.ReadFile(filepath.Join(root, "manifests", "istio", "ingress", name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(objects, name), data, 0o600))
	}
	istiod, err := repo.Bin("istiod", "istiod")
	must(t, err)
	p, err := process.Start(process.Spec{
		Name: "istiod", Path: istiod, Stderr: filepath.Join(e.dir, "istiod.log"),
		Args: []string{"serve", "--listen", e.net.Addr(2) + ":15010", "--mesh", filepath.Join(istio, "install.yaml"), "--dir", istio, "--dir", filepath.Join(root, "manifests", "istio", "strict"), "--dir", objects},
	})
	must(t, err)
	stopAtEnd(t, p.Stop)
	ca, err := sds.NewAuthority()
	must(t, err)
	issuer, err := sds.Serve(context.Background(), e.net.Addr(3)+":15012", ca, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(issuer.Stop)
}

func (e *entrance) startEnvoy(t *testing.T) {
	t.Helper()
	bin, err := repo.BinDir()
	must(t, err)
	binary, err := envoy.Find(bin)
	must(t, err)
	proxy, err := envoy.Start(context.Background(), envoy.Options{
		Binary: binary, Workload: e.gateway, XDS: e.net.Addr(2) + ":15010", SDS: e.net.Addr(3) + ":15012", Dir: e.dir,
	})
	must(t, err)
	stopAtEnd(t, proxy.Stop)
}

func (e *entrance) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", e.gateway.Address+":8080", patience)
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return conn
}

// outcome is what became of a request: who got it, or why it was denied, or Envoy's own status.
func (e *entrance) outcome(t *testing.T, status int) string {
	t.Helper()
	records := e.records(t)
	orders, rest := e.orders.take(), e.rest.take()
	switch {
	case len(records) == 0 && len(orders)+len(rest) == 0 && status == 0:
		return "reset"
	case len(records) == 0 && len(orders)+len(rest) == 0:
		return strconv.Itoa(status)
	case len(records) != 1 || len(orders)+len(rest) > 1:
		t.Fatalf("decided %+v, orders got %v, rest got %v", records, orders, rest)
	case len(orders) == 1 && records[0].Decision == "allow":
		return "orders"
	case len(rest) == 1 && records[0].Decision == "allow":
		return "rest"
	case records[0].Decision == "deny" && len(orders)+len(rest) == 0:
		return records[0].Reason
	}
	t.Fatalf("decided %+v, orders got %v, rest got %v", records, orders, rest)
	return ""
}

// gatewayHosts: for each host, what becomes of a request that only the hosts of orders may make, and
// of one that only others may. In HTTP/2 it is the same, unless Envoy answers by itself.
var gatewayHosts = []struct{ host, allow, deny, http2 string }{
	{"orders.example", "orders", "rule_denied", ""},
	{"ORDERS.Example", "orders", "rule_denied", ""},
	{"orders.example:80", "orders", "rule_denied", ""},
	{"orders.example:65535", "orders", "rule_denied", ""},
	{"a.orders.example", "orders", "rule_denied", ""},
	{"a.b.orders.example:443", "orders", "rule_denied", ""},
	{"other.example", "no_rule", "rest", ""},
	{"xorders.example", "no_rule", "rest", ""},
	{"orders.example.evil", "no_rule", "rest", ""},
	{"[2001:db8::1]:80", "no_rule", "rest", ""},
	{"10.0.0.1", "no_rule", "rest", ""},
	{"", "no_rule", "rest", "reset"},
	{"orders.example.", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example.:443", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:80:80", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:x", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:0", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:080", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example:65536", "ambiguous_host", "ambiguous_host", ""},
	{"orders.example@evil", "ambiguous_host", "ambiguous_host", "reset"},
	{"evil@orders.example", "ambiguous_host", "ambiguous_host", "reset"},
	{"orders.example,evil", "ambiguous_host", "ambiguous_host", ""},
	{"[::1]orders.example", "ambiguous_host", "ambiguous_host", ""},
	{"[orders.example]", "ambiguous_host", "ambiguous_host", ""},
	{"[::1]:80:80", "ambiguous_host", "ambiguous_host", ""},
	{"[fe80::1%25eth0]", "ambiguous_host", "ambiguous_host", ""},
	{"[0:0::1]", "ambiguous_host", "ambiguous_host", ""},
	{"::1", "ambiguous_host", "ambiguous_host", ""},
	{".orders.example", "ambiguous_host", "ambiguous_host", ""},
	{"*.orders.example", "ambiguous_host", "ambiguous_host", ""},
	{"orders%2eexample", "ambiguous_host", "ambiguous_host", ""},
	{"127.1", "ambiguous_host", "ambiguous_host", ""},
}

func (e *entrance) testHosts(t *testing.T) {
	for _, row := range gatewayHosts {
		t.Run(name(row.host), func(t *testing.T) {
			for path, want := range map[string]string{"/allow/x": row.allow, "/deny/x": row.deny} {
				conn := e.dial(t)
				_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\n"+head("Host: "+row.host))
				must(t, err)
				got := readReply(t, bufio.NewReader(conn), "GET")
				equal(t, path, e.outcome(t, got.status), want)
			}
		})
	}
}

func (e *entrance) testHTTP2Hosts(t *testing.T) {
	for _, row := range gatewayHosts {
		t.Run(name(row.host), func(t *testing.T) {
			for path, want := range map[string]string{"/allow/x": row.allow, "/deny/x": row.deny} {
				if row.http2 != "" {
					want = row.http2
				}
				got := openStreamOn(t, e.dial(t), fields{":method", "GET", ":scheme", "http", ":authority", row.host, ":path", path}, true).reply(t)
				status, _ := strconv.Atoi(got.fields[":status"]) // none: a reset, 0
				equal(t, path, e.outcome(t, status), want)
			}
		})
	}
}
