package netns

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
)

// interceptionFlags are the flags of Istio's init container, and the admin port, which readiness checks use.
var interceptionFlags = []string{"-p", "15001", "-z", "15006", "-u", "1337", "-m", "REDIRECT", "-i", "*", "-x", "", "-b", "*", "-d", "15090,15021,15020,15000"}

// mesh is istiod, the certificates' server, and four pods: the gateway (only its sidecar: this
// process sends its requests), orders, inventory and the authorizer.
type mesh struct {
	t    *testing.T
	root string
	dir  string
	net  *network
	pods map[string]*pod
	mint func() string

	moreFlags map[string][]string // of the init container, by pod
}

func startMesh(t *testing.T, moreFlags map[string][]string) *mesh {
	t.Helper()
	m := &mesh{t: t, dir: t.TempDir(), pods: map[string]*pod{}, moreFlags: moreFlags}
	m.root = must(repo.Root())
	m.net = must(newNetwork(t.Context(), readFile(t, "testdata/hosts")))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.net.removeAll(ctx); err != nil {
			t.Error(err)
		}
	})
	m.writeFiles()
	m.startControlPlane()
	for _, w := range []envoy.Workload{
		{Name: "meshpass", Namespace: "meshpass", ServiceAccount: "meshpass", Address: m.net.prefix() + "5"},
		{Name: "inventory", Namespace: "shop", ServiceAccount: "inventory", Address: m.net.prefix() + "12", Labels: map[string]string{"meshpass.dev/guarded": "true"}},
		{Name: "orders", Namespace: "shop", ServiceAccount: "orders", Address: m.net.prefix() + "11", Labels: map[string]string{"meshpass.dev/guarded": "true"}},
		{Name: "tyk-gateway", Namespace: "edge", ServiceAccount: "tyk-gateway", Address: m.net.prefix() + "10"},
	} {
		m.startPod(w)
	}
	m.startProgram("meshpass", "meshpass", "9000", "serve", "--config", m.filePath("meshpass.yaml"))
	m.startProgram("inventory", "inventory", "8080", "-listen", "0.0.0.0:8080")
	// It calls by the service's name and has no address of a proxy.
	m.startProgram("orders", "orders", "8080", "-listen", "0.0.0.0:8080", "-inventory", "http://inventory.shop.svc.cluster.local:8080")
	return m
}

func (m *mesh) startControlPlane() {
	m.t.Helper()
	certificates := must(sds.Serve(m.t.Context(), m.net.gateway()+":15012", must(sds.NewAuthority()), slog.New(slog.DiscardHandler)))
	m.t.Cleanup(certificates.Stop)
	manifests := filepath.Join(m.root, "manifests", "istio")
	istiod := m.startProcess("istiod", must(repo.Bin("istiod", "istiod")), "serve", "--listen", m.net.gateway()+":15010",
		"--mesh", filepath.Join(manifests, "install.yaml"), "--dir", manifests, "--dir", filepath.Join(manifests, "strict"), "--dir", m.filePath("cluster"))
	m.awaitAddress(istiod, m.net.gateway()+":15010", dialHere)
}

// startPod creates the namespace, writes Istio's rules in it and starts the sidecar, as kubelet would.
func (m *mesh) startPod(w envoy.Workload) {
	m.t.Helper()
	p := must(m.net.addPod(m.t.Context(), w.Name, w.Address))
	m.pods[w.Name] = p
	path, args := p.commandInside(must(repo.Bin("istio-iptables", "test-programs")), slices.Concat(interceptionFlags, m.moreFlags[w.Name])...)
	if out, err := exec.CommandContext(m.t.Context(), path, args...).CombinedOutput(); err != nil {
		m.t.Fatalf("istio-iptables: %v: %s", err, out)
	}
	w.Intercepted, w.Labels = true, podLabels(w)
	proxy, err := envoy.Start(m.t.Context(), envoy.Options{
		Binary: must(envoy.Find(must(repo.BinDir()))), Workload: w, XDS: m.net.gateway() + ":15010", SDS: m.net.gateway() + ":15012", Dir: m.dir,
		// The rules distinguish the sidecar's own connections from the program's by its group.
		Within: func(program string, args ...string) (string, []string) {
			return p.commandInside("setpriv", append([]string{"--regid", "1337", "--clear-groups", program}, args...)...)
		},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { stopProcess(m.t, proxy.Proc) })
}

func podLabels(w envoy.Workload) map[string]string {
	all := map[string]string{"app": w.Name, "security.istio.io/tlsMode": "istio"}
	for name, value := range w.Labels {
		all[name] = value
	}
	return all
}

// startProgram starts one of make's programs in the pod of that name.
func (m *mesh) startProgram(pod, program, port string, args ...string) {
	m.t.Helper()
	path := must(repo.Bin(program, "build"))
	m.awaitAddress(m.startProcess(pod, path, args...), "127.0.0.1:"+port, m.pods[pod].dial)
}

// startProcess runs a program, inside the pod of its name if there is one.
func (m *mesh) startProcess(name, path string, args ...string) *process.Proc {
	m.t.Helper()
	if p := m.pods[name]; p != nil {
		path, args = p.commandInside(path, args...)
	}
	started := must(process.Start(process.Spec{Name: name, Path: path, Args: args, Dir: m.dir, Stdout: m.filePath(name + ".out"), Stderr: m.filePath(name + ".log")}))
	m.t.Cleanup(func() {
		stopProcess(m.t, started)
		if name == "meshpass" {
			audittest.CheckFiles(m.t, m.filePath(name+".out"))
		}
	})
	return started
}

// dialer connects from a pod, or from this machine outside of all pods.
type dialer func(ctx context.Context, address string) (net.Conn, error)

func dialHere(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp4", address)
}

func (m *mesh) awaitAddress(program *process.Proc, address string, from dialer) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), time.Minute)
	defer cancel()
	err := program.AwaitReady(ctx, func(ctx context.Context) error {
		conn, err := from(ctx, address)
		if err != nil {
			return err
		}
		return conn.Close()
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func stopProcess(t *testing.T, p *process.Proc) {
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	return string(must(os.ReadFile(name)))
}

// must is for steps that the test requires. Its panic also runs the clean-up.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
