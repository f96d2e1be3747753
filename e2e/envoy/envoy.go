// Package envoy runs a real Envoy beside each workload.
//
// Each has an address of its own in 127.0.0.0/8 and its listeners bind that address, so
// that neither root nor iptables is needed. A caller sends through the listener on port
// 15080 as through an HTTP proxy. A callee is reached on its address, port 8080, where
// its Envoy listens. All other configuration, such as the filters of a listener, comes
// from the control plane.
package envoy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/internal/process"
)

const startTimeout = 20 * time.Second

// Options describes the Envoy to start.
type Options struct {
	Binary   string // from Find
	Workload Workload
	XDS      string                                                  // IP:port of the control plane or the dump's server
	SDS      string                                                  // IP:port of the certificates' server
	Within   func(program string, args ...string) (string, []string) // nil, or the command line that runs a program elsewhere
	Dir      string                                                  // folder for <name>.bootstrap.json, <name>.envoy.log, <name>.access.log
}

// Start returns when the Envoy has loaded its complete configuration and serves. A
// rejected configuration, an Envoy that ends, and one that is not ready in time are
// errors, and nothing is left running then.
func Start(ctx context.Context, o Options) (*Proc, error) {
	p, err := startProcess(o)
	if err != nil {
		return nil, fmt.Errorf("envoy of %s: %w", o.Workload.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := p.awaitReady(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// awaitReady does not wait until the deadline if a part was rejected: it stays rejected.
func (p *Proc) awaitReady(ctx context.Context) error {
	var rejected error
	err := p.AwaitReady(ctx, func(ctx context.Context) error {
		err := p.checkReady(ctx)
		if errors.Is(err, ErrRejected) {
			rejected = err
			return nil
		}
		return err
	})
	return errors.Join(err, rejected)
}

func startProcess(o Options) (*Proc, error) {
	config, err := newBootstrap(o.Workload, o.XDS, o.SDS)
	if err != nil {
		return nil, err
	}
	base := filepath.Join(o.Dir, o.Workload.Name)
	if err := os.WriteFile(base+".bootstrap.json", config, 0o644); err != nil {
		return nil, err
	}
	within := o.Within
	if within == nil {
		within = func(program string, args ...string) (string, []string) { return program, args }
	}
	path, args := within(o.Binary,
		"--config-path", base+".bootstrap.json",
		"--concurrency", "1",
		"--file-flush-interval-msec", "1000", // of the access log, as Istio's agent sets it
		"--component-log-level", "misc:error", // without it, a warning for each deprecated field that Istio still uses
		"--disable-hot-restart", // it would share memory between the Envoys of one machine
	)
	p := &Proc{workload: o.Workload, log: base + ".envoy.log"}
	p.Proc, err = process.Start(process.Spec{
		Name:   "envoy of " + o.Workload.Name,
		Path:   path,
		Args:   args,
		Stdout: base + ".access.log", // Istio's access log goes to /dev/stdout
		Stderr: p.log,
	})
	return p, err
}
