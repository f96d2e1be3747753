package kind

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
)

// applyOverlay applies our own manifests with the overlay of the topology.
func (e *Environment) applyOverlay(ctx context.Context) error {
	folder := e.repoFile("manifests", "overlays", e.current.overlay)
	if e.current.overlay == "" {
		folder = e.repoFile("e2e", "kind", "topologies", e.current.name)
	}
	text, err := e.kubectl(ctx, "kustomize", folder)
	if err != nil {
		return err
	}
	shared, err := e.current.loadShared()
	if err != nil {
		return err
	}
	for from, to := range shared.Gateways[0].Targets {
		text = strings.ReplaceAll(text, `"`+from+`"`, `"`+to+`"`)
	}
	if e.current.entry != "" {
		address, err := e.entryAddress(ctx)
		if err != nil {
			return err
		}
		text = strings.ReplaceAll(text, documentationAddress, address)
	}
	return e.applyManifests(ctx, []byte(text))
}

// installFiles returns the inputs of istioctl: those of manifests/istio, then the topology's own.
func (e *Environment) installFiles(shared topologies.Topology) []string {
	var files []string
	for _, file := range append(e.istioFiles(shared, "install.yaml"), e.repoFile("e2e", "kind", "topologies", e.current.name, "install.yaml")) {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	return files
}

// istioFiles returns the files of that name in the topology's folders of manifests/istio.
func (e *Environment) istioFiles(shared topologies.Topology, name string) []string {
	var files []string
	for _, folder := range shared.Istio {
		file := e.repoFile("manifests", "istio", folder, name)
		if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
			files = append(files, file)
		}
	}
	return files
}
