package kind

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

// topology is one of e2e/localmesh/topologies, as a cluster has it. The folder of manifests/istio, the
// documents and Tyk's targets are the same; what differs from manifests/overlays/dev is an overlay
// in the folder of its name, and its install.yaml is the further input of istioctl.
type topology struct {
	name     string // empty: the tour
	overlay  string // of manifests/overlays, with Tyk in the mesh as in the tour; empty: its own
	cases    []string
	entry    string // NAME.NAMESPACE of the Service of the gateway through which the mesh is entered
	gateways []gateway
	// authorizers are the shared ones, or those of the guarded pods.
	authorizers source
	prepare     func(*Environment, context.Context) error // nil: nothing
}

var tour = topology{overlay: "dev", cases: []string{"tour", "hostile", "cluster", "sidecar"}, gateways: []gateway{east}, authorizers: sharedAuthorizers}

// shared is what the local mesh knows of it.
func (t topology) shared() (topologies.Topology, error) {
	if t.overlay != "" {
		return topologies.Load("")
	}
	return topologies.Load(t.name)
}

// shape brings a topology onto the cluster.
func (e *Environment) shape(ctx context.Context, t topology) error {
	e.at = t
	clear(e.credentials) // API keys go with their Redis
	shared, err := t.shared()
	if err != nil {
		return err
	}
	if t.prepare != nil {
		if err := t.prepare(e, ctx); err != nil {
			return err
		}
	}
	if err := e.install(ctx, e.installFiles(shared)...); err != nil {
		return err
	}
	for _, part := range []func(context.Context) error{e.entrance, e.giveKeys, e.demo, e.overlay, e.settle} {
		if err := part(ctx); err != nil {
			return err
		}
	}
	return nil
}

// installFiles are those for istioctl: the user's, then the run's own.
func (e *Environment) installFiles(shared topologies.Topology) []string {
	var files []string
	for _, file := range append(e.istioFiles(shared, "install.yaml"), e.shipped("e2e", "kind", "topologies", e.at.name, "install.yaml")) {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// istioFiles are the files of that name in the topology's folders of manifests/istio.
func (e *Environment) istioFiles(shared topologies.Topology, name string) []string {
	var files []string
	for _, folder := range shared.Istio {
		file := e.shipped("manifests", "istio", folder, name)
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			files = append(files, file)
		}
	}
	return files
}

// settle restarts every Tyk, with its sidecar or without, and waits for all that the overlay has changed.
func (e *Environment) settle(ctx context.Context) error {
	namespaces := []string{"meshpass", "shop"}
	for _, g := range e.at.gateways {
		namespaces = append(namespaces, g.namespace)
		if err := e.restart(ctx, g.namespace); err != nil {
			return err
		}
	}
	return e.rollouts(ctx, namespaces...)
}

// overlay applies what is ours, as the topology's overlay makes it.
func (e *Environment) overlay(ctx context.Context) error {
	folder := e.shipped("manifests", "overlays", e.at.overlay)
	if e.at.overlay == "" {
		folder = e.shipped("e2e", "kind", "topologies", e.at.name)
	}
	text, err := e.kubectl(ctx, "kustomize", folder)
	if err != nil {
		return err
	}
	shared, err := e.at.shared()
	if err != nil {
		return err
	}
	for from, to := range shared.Gateways[0].Targets {
		text = strings.ReplaceAll(text, `"`+from+`"`, `"`+to+`"`)
	}
	if e.at.entry != "" {
		address, err := e.entryAddress(ctx)
		if err != nil {
			return err
		}
		text = strings.ReplaceAll(text, documentationAddress, address)
	}
	return e.apply(ctx, []byte(text))
}
