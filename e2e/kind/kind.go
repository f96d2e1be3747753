// Package kind plays the cases of e2e/scenarios on a kind cluster, with Istio, Tyk and Redis, and
// tests that only a cluster can show: injection, volumes that change, rollouts. Then it gives the
// cluster one topology after the other, and plays the cases of each. It drives docker, kind, istioctl
// and kubectl as a user who deploys Meshpass does.
//
// The work is divided into [Steps], and each step may be run again alone. The cluster is called
// meshpass-e2e and has its own kubeconfig, so other clusters of the user are never touched.
package kind

import (
	"os"
	"path/filepath"
	"time"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/repo"
)

const clusterName = "meshpass-e2e"

// Versions of the installed programs. The plugin loads in this gateway only.
const (
	IstioVersion = "1.31.0"
	TykVersion   = "v5.8.1"
)

// Options come from the environment. The zero value is right for a machine with access to registries.
type Options struct {
	NodeImage   string // for kind create; empty: kind's own
	Addons      string // a file of manifests that are applied when the cluster has been made, such as a network plugin's; empty: no addons
	IstioValues string // a file for istioctl install, as the last -f; empty: no file
	Only        string // prefix of the names of the cases to play; empty: all
}

// Environment is the cluster, and the folder of a run with its keys and logs.
type Environment struct {
	Options
	root, dir   string
	out         *Printer
	since       time.Time         // logs before this time are of earlier runs
	credentials map[string]string // API keys and tokens of this run, as header values
	current     topology          // the current one of the cluster
	total       tally             // of all steps that were run
	public      *sds.Authority    // the authority of the ingress gateway's public names; nil: no ingress gateway yet
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
	return &Environment{Options: o, root: root, dir: dir, out: out, since: time.Now(), credentials: map[string]string{}, current: tour}, nil
}

// runFile returns the path of a file in the run's folder.
func (e *Environment) runFile(elements ...string) string {
	return filepath.Join(append([]string{e.dir}, elements...)...)
}

// repoFile returns the path of a file in the repository.
func (e *Environment) repoFile(elements ...string) string {
	return filepath.Join(append([]string{e.root}, elements...)...)
}
