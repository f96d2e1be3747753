package envoy_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/ads"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/localmesh/dump"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

// rig is a mesh of two workloads, reports and orders. Their programs and the authorizer are
// part of the test.
type rig struct {
	net       *subnet.Subnet
	dir       string // logs
	istio     string // copy of manifests/istio that the live control plane reads
	more      string // objects beside them
	xds, sds  string
	workloads map[string]envoy.Workload
	authz     *authorizer
}

// newRig starts all parts but the control plane and the Envoys.
func newRig(t *testing.T) *rig {
	t.Helper()
	n, err := subnet.Claim()
	must(t, err)
	stopAtEnd(t, n.Release)
	r := &rig{net: n, dir: t.TempDir(), xds: n.Addr(2) + ":15010", sds: n.Addr(3) + ":15012"}
	r.workloads, err = cluster.LoadTourWorkloads(n.Prefix())
	must(t, err)
	ca, err := sds.NewAuthority()
	must(t, err)
	certificates, err := sds.Serve(t.Context(), r.sds, ca, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(certificates.Stop)
	r.authz = newAuthorizer(t, n.Addr(5)+":9000")
	serveApp(t, n.Addr(11)+":9080")
	return r
}

// fromDump serves a dump as the control plane.
func (r *rig) fromDump(t *testing.T, files fs.FS) {
	t.Helper()
	server, err := ads.Serve(t.Context(), r.xds, files, r.net.Prefix(), slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(server.Stop)
}

func (r *rig) fromCheckedInDump(t *testing.T) { r.fromDump(t, dump.Files) }

// fromIstiod starts the live control plane.
func (r *rig) fromIstiod(t *testing.T) {
	t.Helper()
	istiod, err := repo.Bin("istiod", "istiod")
	must(t, err)
	root, err := repo.Root()
	must(t, err)
	objects := t.TempDir()
	must(t, r.net.CopyDir(objects, cluster.Files))
	r.istio = t.TempDir()
	must(t, r.net.CopyDir(r.istio, os.DirFS(filepath.Join(root, "manifests", "istio"))))
	if r.more != "" {
		must(t, os.WriteFile(filepath.Join(r.istio, "more.yaml"), []byte(r.more), 0o600))
	}
	p, err := process.Start(process.Spec{
		Name: "istiod", Path: istiod, Stderr: r.istiodLog(),
		Args: []string{
			"serve", "--listen", r.xds, "--mesh", filepath.Join(r.istio, "install.yaml"),
			"--dir", r.istio, "--dir", filepath.Join(root, "manifests", "istio", "strict"), "--dir", objects,
		},
	})
	must(t, err)
	stopAtEnd(t, p.Stop)
}

func (r *rig) istiodLog() string { return filepath.Join(r.dir, "istiod.log") }

func (r *rig) options(t *testing.T, name string) envoy.Options {
	t.Helper()
	bin, err := repo.BinDir()
	must(t, err)
	binary, err := envoy.Find(bin)
	must(t, err)
	return envoy.Options{Binary: binary, Workload: r.workloads[name], XDS: r.xds, SDS: r.sds, Dir: r.dir}
}

func (r *rig) start(t *testing.T, name string) *envoy.Proc {
	t.Helper()
	p, err := envoy.Start(t.Context(), r.options(t, name))
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(r.dir, name+".envoy.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	stopAtEnd(t, p.Stop)
	return p
}

// stopAtEnd fails the test if the program does not end after SIGTERM.
func stopAtEnd(t *testing.T, stop func() error) {
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// throughMesh makes a client that sends as the program of workload w does.
func throughMesh(t *testing.T, w envoy.Workload) *http.Client {
	t.Helper()
	proxy, err := url.Parse(w.ProxyURL())
	must(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

func serveApp(t *testing.T, addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "app saw ", r.URL.Path)
	})}
	go func() { _ = server.Serve(listener) }() // ends when closed
	stopAtEnd(t, server.Close)
}

// authorizer answers every Check with one code, and keeps the Checks.
type authorizer struct {
	auth.UnimplementedAuthorizationServer
	server *grpc.Server
	mu     sync.Mutex
	answer codes.Code
	asked  []*auth.CheckRequest
}

func newAuthorizer(t *testing.T, addr string) *authorizer {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	must(t, err)
	a := &authorizer{server: grpc.NewServer()}
	auth.RegisterAuthorizationServer(a.server, a)
	go func() { _ = a.server.Serve(listener) }() // ends when stopped
	t.Cleanup(a.server.Stop)
	return a
}

func (a *authorizer) Check(_ context.Context, r *auth.CheckRequest) (*auth.CheckResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, r)
	return &auth.CheckResponse{Status: &status.Status{Code: int32(a.answer)}}, nil
}

// reset drops the Checks so far, and answers with code from now on.
func (a *authorizer) reset(code codes.Code) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer, a.asked = code, nil
}

func (a *authorizer) seen() []*auth.CheckRequest {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.asked
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
