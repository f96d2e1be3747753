package drills

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/envoy/sotw"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/process"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/subnet"
)

// Hosts of the parts, by the last octet of their address.
const (
	istiodHost, sdsHost = 2, 3
	authorizerHost      = 5 // where Envoys look for the authorizer
	behindHost          = 7 // a second authorizer, or the one behind a fault
)

// The guarded workloads, by how their provider fails.
const (
	closed = "orders"
	open   = "reports"
)

// rig is the mesh of a group of drills. No authorizer runs in it: each drill starts its own.
type rig struct {
	net       *subnet.Subnet
	dir       string // configuration and logs
	root      string // of the repository
	workloads map[string]envoy.Workload
	envoys    map[string]*envoy.Proc
	apps      map[string]*app
	istiod    *process.Proc
	authority *sds.Authority
	started   int // authorizers
	sds       *sotw.Server
	tokens    tokens
}

func newRig(t *testing.T, s setup) *rig {
	t.Helper()
	n := must1(subnet.Claim())(t)
	stopAtEnd(t, n.Release)
	r := &rig{net: n, dir: t.TempDir(), root: must1(repo.Root())(t), apps: map[string]*app{}, envoys: map[string]*envoy.Proc{}}
	r.workloads = must1(cluster.Workloads(n.Prefix()))(t)
	r.tokens = newTokens(t)
	r.writeFiles(t, s)
	r.authority = must1(sds.NewAuthority())(t)
	if s.certificate > 0 {
		r.authority.Lifetime = s.certificate
	}
	r.serveCertificates(t)
	t.Cleanup(func() { r.sds.Stop() })
	r.startIstiod(t)
	names := append([]string{"tyk-gateway", closed, open}, s.envoys...)
	for _, name := range names[1:] {
		r.apps[name] = serveApp(t, r.workloads[name].Address)
	}
	r.startEnvoys(t, names)
	return r
}

func (r *rig) serveCertificates(t *testing.T) {
	t.Helper()
	// The context outlives the drill that serves again: a rig may be shared.
	r.sds = must1(sds.Serve(context.Background(), r.net.Addr(sdsHost)+":15012", r.authority, slog.New(slog.DiscardHandler)))(t)
}

func (r *rig) startIstiod(t *testing.T) {
	t.Helper()
	r.istiod = must1(process.Start(process.Spec{
		Name: "istiod", Path: must1(repo.Bin("istiod", "istiod"))(t), Stderr: r.path("istiod.log"),
		Args: []string{
			"serve", "--listen", r.net.Addr(istiodHost) + ":15010", "--mesh", r.path("istio", "install.yaml"),
			"--dir", r.path("istio"), "--dir", r.path("cluster"),
		},
	}))(t)
	stopAtEnd(t, r.istiod.Stop)
}

// startEnvoys starts all at once: each waits for its configuration.
func (r *rig) startEnvoys(t *testing.T, names []string) {
	t.Helper()
	var (
		all sync.WaitGroup
		mu  sync.Mutex
	)
	for _, name := range names {
		all.Go(func() {
			p, err := envoy.Start(t.Context(), r.envoyOptions(t, name))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
				return
			}
			r.envoys[name] = p
			stopAtEnd(t, p.Stop)
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// binary is looked for once: its hash is compared, which takes a while.
var binary = sync.OnceValues(func() (string, error) {
	bin, err := repo.BinDir()
	if err != nil {
		return "", err
	}
	return envoy.Find(bin)
})

func (r *rig) envoyOptions(t *testing.T, name string) envoy.Options {
	return envoy.Options{
		Binary: must1(binary())(t), Workload: r.workloads[name], Dir: r.dir,
		Within: flushOften,
		XDS:    r.net.Addr(istiodHost) + ":15010", SDS: r.net.Addr(sdsHost) + ":15012",
	}
}

// flushOften has the access log written while a drill waits for it.
func flushOften(program string, args ...string) (string, []string) {
	args[slices.Index(args, "--file-flush-interval-msec")+1] = "50"
	return program, args
}
