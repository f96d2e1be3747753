// Package kind plays the cases of e2e/scenarios on a kind cluster, with Istio, Tyk and Redis, and
// beside them what only a cluster shows: injection, volumes that change, rollouts. Then it gives the
// cluster one topology after the other, and plays the cases of each. It drives docker, kind, istioctl
// and kubectl as a user who deploys Meshpass does.
//
// [Steps] do the work, and each may be run again alone. The cluster is called meshpass-e2e
// and has a kubeconfig of its own: the user's other clusters are never touched.
package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/repo"
)

const clusterName = "meshpass-e2e"

// Versions of what is installed. The plugin loads in that gateway alone.
const (
	IstioVersion = "1.31.0"
	TykVersion   = "v5.8.1"
)

// Options come from the environment. The zero value is what a machine with access to registries needs.
type Options struct {
	NodeImage   string // for kind create; empty: kind's own
	Addons      string // a file of manifests that are applied when the cluster has been made, such as a network plugin's; empty: none
	IstioValues string // a file given to istioctl install as the last -f; empty: none
	Only        string // beginning of the names of the cases to play; empty: all
}

// Environment is the cluster, and the folder of a run's keys and logs.
type Environment struct {
	Options
	root, dir   string
	out         *Printer
	since       time.Time         // logs before it are of earlier runs
	credentials map[string]string // credentials that were signed in or created in this run
	at          topology          // the one that is on the cluster
	public      *sds.Authority    // the authority of the ingress gateway's public names; nil: there is none
}

// New makes the folder bin/kind. Nothing is started yet.
func New(o Options, out *Printer) (*Environment, error) {
	root, err := repo.Root()
	if err != nil {
		return nil, err
	}
	bin, err := repo.BinDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(bin, "kind")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for _, file := range []*string{&o.IstioValues, &o.Addons} {
		if *file == "" {
			continue
		}
		if *file, err = filepath.Abs(*file); err != nil {
			return nil, err
		}
		if _, err := os.Stat(*file); err != nil {
			return nil, err
		}
	}
	return &Environment{Options: o, root: root, dir: dir, out: out, since: time.Now(), credentials: map[string]string{}, at: tour}, nil
}

// Step is one part of the way, which may be run again alone.
type Step struct {
	Name string
	run  func(*Environment, context.Context) error
}

// Steps are all of them, in order.
func Steps() []Step {
	return []Step{
		{"cluster", (*Environment).cluster},
		{"istio", (*Environment).istio},
		{"images", (*Environment).images},
		{"deploy", (*Environment).deploy},
		{"run", (*Environment).run},
		{"topologies", (*Environment).topologies},
		{"clean", (*Environment).Clean},
	}
}

// ErrDiffers is the error of a case that did not end as expected.
var ErrDiffers = errors.New("not as expected")

// Do runs one step, and prints how long it took.
func (e *Environment) Do(ctx context.Context, s Step) error {
	e.out.line("== %s", s.Name)
	began := time.Now()
	if err := s.run(e, ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	e.out.line("   %s: %s", s.Name, seconds(time.Since(began)))
	return nil
}

// path names a file of the run's folder.
func (e *Environment) path(elements ...string) string {
	return filepath.Join(append([]string{e.dir}, elements...)...)
}

// shipped names a file of the repository.
func (e *Environment) shipped(elements ...string) string {
	return filepath.Join(append([]string{e.root}, elements...)...)
}

// Find returns the steps to run: all but the last for "", which an orderly end runs by itself.
func Find(name string) ([]Step, error) {
	all := Steps()
	if name == "" {
		return all[:len(all)-1], nil
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return []Step{s}, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("no step %q; there are: %s", name, strings.Join(names, ", "))
}
