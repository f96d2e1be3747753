package drills

import (
	"context"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/envoy/sotw"
	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
)

// The hosts of the parts, as the last octet of their address.
const (
	istiodHost, sdsHost = 2, 3
	authorizerHost      = 5 // the authorizer's address in the Envoys' configuration
	behindHost          = 7 // a second authorizer, or the one behind a fault
)

// The guarded workloads, by how their provider fails.
const (
	closed = "orders"
	open   = "reports"
)

// rig is the mesh of a group of drills. It has no authorizer: each drill starts its own.
type rig struct {
	place     place
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

func newRig(t *testing.T, s rigSetup) *rig {
	t.Helper()
	n := mustGet(subnet.Claim())(t)
	stopAtEnd(t, n.Release)
	r := &rig{net: n, dir: t.TempDir(), root: mustGet(repo.Root())(t), apps: map[string]*app{}, envoys: map[string]*envoy.Proc{}}
	if r.place = s.place; r.place.name == "" {
		r.place = sidecars
	}
	r.tokens = newTokens(t)
	r.writeFiles(t, s)
	r.workloads = mustGet(cluster.LoadWorkloads(os.DirFS(r.filePath("cluster")), n.Prefix()))(t)
	r.authority = mustGet(sds.NewAuthority())(t)
	if s.certificate > 0 {
		r.authority.Lifetime = s.certificate
	}
	r.serveCertificates(t)
	t.Cleanup(func() { r.sds.Stop() })
	if r.place.prepare != nil {
		r.place.prepare(t, r)
	}
	r.startIstiod(t)
	called := append(slices.Clone(r.place.called), s.envoys...)
	for _, name := range called {
		r.apps[name] = serveApp(t, r.workloads[name].Address)
	}
	r.startEnvoys(t, append(slices.Clone(r.place.envoys), called...))
	return r
}

func (r *rig) serveCertificates(t *testing.T) {
	t.Helper()
	// The context outlives the drill that restarts the server, because a rig may be shared.
	r.sds = mustGet(sds.Serve(context.Background(), r.net.Addr(sdsHost)+":15012", r.authority, slog.New(slog.DiscardHandler)))(t)
}

func (r *rig) startIstiod(t *testing.T) {
	t.Helper()
	args := []string{
		"serve", "--listen", r.net.Addr(istiodHost) + ":15010", "--mesh", r.filePath("istio", "install.yaml"),
		"--dir", r.filePath("istio"), "--dir", r.filePath("cluster"),
	}
	if r.place.topology != "" {
		args = append(args, "--dir", r.filePath("place"))
	}
	r.istiod = mustGet(process.Start(process.Spec{
		Name: "istiod", Path: mustGet(repo.Bin("istiod", "istiod"))(t), Stderr: r.filePath("istiod.log"), Args: args, Env: r.place.istiod,
	}))(t)
	stopAtEnd(t, r.istiod.Stop)
}

// startEnvoys starts all Envoys in parallel, because each waits for its configuration.
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

// findEnvoy finds Envoy once, because comparing its hash takes time.
var findEnvoy = sync.OnceValues(func() (string, error) {
	bin, err := repo.BinDir()
	if err != nil {
		return "", err
	}
	return envoy.Find(bin)
})

func (r *rig) envoyOptions(t *testing.T, name string) envoy.Options {
	return envoy.Options{
		Binary: mustGet(findEnvoy())(t), Workload: r.workloads[name], Dir: r.dir,
		Within: flushOften,
		XDS:    r.net.Addr(istiodHost) + ":15010", SDS: r.net.Addr(sdsHost) + ":15012",
	}
}

// flushOften makes Envoy write its access log often, because drills wait for it.
func flushOften(program string, args ...string) (string, []string) {
	args[slices.Index(args, "--file-flush-interval-msec")+1] = "50"
	return program, args
}
