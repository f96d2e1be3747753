// Package localmesh runs the whole path on one machine, without root and without containers:
//
//	client ──► Tyk + plugin ──► its Envoy ══mTLS══► Envoy of orders ──► orders ──► …
//	            │        │                            │ asks
//	          Redis   OpenID provider              meshpass
//
// Gateway, plugin, authorizer, Envoys and (with an option) Istio's control plane are the real
// programs, built by make and started as processes. Redis and the OpenID provider run in this
// process. Each run has a 127.x.y.0/24 and a work folder of its own, so runs do not disturb each
// other. Checked-in configuration is written for subnet.Template and copied with the run's addresses.
package localmesh

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/subnet"
)

// Options of a run. The zero value is a complete local mesh.
type Options struct {
	// Topology is a folder of topologies/. Empty: the tour, where Tyk is in the mesh with a sidecar.
	Topology string
	// Istiod: a live control plane configures the Envoys, instead of the checked-in dump. Every
	// topology but the tour does so anyway.
	Istiod bool
	// IstiodDebug: live control planes also serve Istio's debug interface.
	IstiodDebug bool
	// RedisAddr is host:port of a real server. Empty: an embedded one is started.
	RedisAddr string
	// Programs are command lines that replace those of services, by the service's name. They get the
	// same flags.
	Programs map[string][]string
	// Started is called for each part that is ready, with the time that its start took.
	Started func(part string, took time.Duration)
	// Dir is the run's folder: a new one, or an empty one. Empty: a temporary one.
	Dir string
	// Prepare may change the run's files (configuration, keys, policies) before anything starts.
	Prepare func(dir string) error
}

// Mesh is a running local mesh. It is a scenarios.Driver.
type Mesh struct {
	options   Options
	root, dir string
	net       *subnet.Subnet
	workloads map[string]envoy.Workload
	clusterOf map[string]topologies.Cluster // of workloads outside the first cluster
	proxies   []*envoy.Proc
	programs  []*program
	log       *slog.Logger
	ctx       context.Context // ends with Close: for the servers in this process
	redis     redisServer
	topology  topologies.Topology
	gateways  []*gateway
	ca        *sds.Authority
	keys      map[string]string // API keys, by the name of their consumer
	logins    logins
	stops     []func() error // functions that Close calls, in reverse order
}

// startStep starts one part. The parts are in the order of their dependencies.
type startStep struct {
	part  string
	start func(*Mesh, context.Context) error
}

var startSteps = []startStep{
	{"keys and configuration", (*Mesh).writeFiles},
	{"Redis", (*Mesh).startRedis},
	{"OpenID provider", (*Mesh).startIDP},
	{"meshpass", (*Mesh).startAuthorizers},
	{"control plane", (*Mesh).startControlPlane},
	{"tunnels", (*Mesh).startTunnels},
	{"services", (*Mesh).startServices},
	{"Envoys", (*Mesh).startEnvoys},
	{"load balancer", (*Mesh).startBalancer},
	{"Tyk", (*Mesh).startGateways},
	{"API keys", (*Mesh).createKeys},
}

// Start returns when everything is ready. On an error nothing is left running, and the error names
// the folder with the logs, unless ctx was cancelled. ctx bounds only the start.
func Start(ctx context.Context, o Options) (*Mesh, error) {
	m, err := newMesh(o)
	if err != nil {
		return nil, fmt.Errorf("local mesh: %w", err)
	}
	for _, s := range startSteps {
		began := time.Now()
		if err := s.start(m, ctx); err != nil {
			return nil, m.stopAfterFailure(ctx, s.part, err)
		}
		if o.Started != nil {
			o.Started(s.part, time.Since(began))
		}
	}
	return m, nil
}

// stopAfterFailure stops the started parts. After an interruption it removes the temporary folder too.
func (m *Mesh) stopAfterFailure(ctx context.Context, part string, err error) error {
	closed := m.Close()
	if errors.Is(ctx.Err(), context.Canceled) {
		err := errors.Join(fmt.Errorf("local mesh: interrupted while starting %s", part), closed)
		if m.options.Dir == "" {
			err = errors.Join(err, m.RemoveDir())
		}
		return err
	}
	return errors.Join(fmt.Errorf("local mesh: %s: %w (logs: %s)", part, err, m.dir), closed)
}

func newMesh(o Options) (*Mesh, error) {
	m := &Mesh{options: o}
	var err error
	if m.topology, err = topologies.Load(o.Topology); err != nil {
		return nil, err
	}
	if m.ca, err = sds.NewAuthority(); err != nil {
		return nil, err
	}
	if m.root, err = repo.Root(); err != nil {
		return nil, err
	}
	if m.dir, err = makeRunDir(o.Dir); err != nil {
		return nil, err
	}
	if m.net, err = subnet.Claim(); err != nil {
		return nil, err
	}
	m.onClose(m.net.Release)
	logFile, err := os.Create(m.filePath("localmesh.log"))
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	m.onClose(logFile.Close)
	m.log = slog.New(slog.NewJSONHandler(logFile, nil))
	var cancel context.CancelFunc
	m.ctx, cancel = context.WithCancel(context.Background())
	m.onClose(func() error { cancel(); return nil })
	return m, nil
}

// makeRunDir makes the folder of a run, and rejects one that holds files: they would change the run, or be lost.
func makeRunDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "meshpass-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	files, err := os.ReadDir(dir)
	if err == nil && len(files) > 0 {
		err = fmt.Errorf("%s is not empty: remove it, or name another folder", dir)
	}
	return dir, err
}

// Dir is the run's folder: configuration, keys and logs.
func (m *Mesh) Dir() string { return m.dir }

// Close stops everything in reverse order. The folder with the logs stays.
func (m *Mesh) Close() error {
	var errs []error
	for _, stop := range slices.Backward(m.stops) {
		errs = append(errs, stop())
	}
	m.stops = nil
	return errors.Join(errs...)
}

// RemoveDir removes the run's folder with its logs. Call it after Close.
func (m *Mesh) RemoveDir() error { return os.RemoveAll(m.dir) }

func (m *Mesh) onClose(stop func() error) { m.stops = append(m.stops, stop) }

// filePath gives the path of a file in the run's folder.
func (m *Mesh) filePath(elements ...string) string {
	return filepath.Join(append([]string{m.dir}, elements...)...)
}
