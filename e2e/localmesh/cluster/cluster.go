// Package cluster is the Kubernetes side of the local mesh: what a cluster's
// API server would tell Istio of the demo's workloads. The files are written
// for subnet.Template. They are also what names the workloads to everyone else,
// so that no list of them stands in two places.
package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/subnet"
)

// Files are the cluster's objects, one file per workload.
//
//go:embed *.yaml
var Files embed.FS

// injected is the label that Istio's sidecar injection puts on a pod.
const injected = "security.istio.io/tlsMode"

type pod struct {
	Kind     string
	Metadata struct {
		Name, Namespace     string
		Labels, Annotations map[string]string
	}
	Spec struct {
		ServiceAccountName string
		Containers         []struct{ Args []string }
	}
	Status struct{ PodIP string }
}

// Workloads returns the tour's pods that have an Envoy, by name, with the addresses of a prefix such
// as "127.80.3.".
func Workloads(prefix string) (map[string]envoy.Workload, error) { return WorkloadsIn(Files, prefix) }

// WorkloadsIn does so for the objects of another cluster.
func WorkloadsIn(objects fs.FS, prefix string) (map[string]envoy.Workload, error) {
	files, err := fs.Glob(objects, "*.yaml")
	if err != nil {
		return nil, err
	}
	out := map[string]envoy.Workload{}
	for _, name := range files {
		data, err := fs.ReadFile(objects, name)
		if err != nil {
			return nil, err
		}
		for _, doc := range bytes.Split(subnet.Localise(data, prefix), []byte("\n---\n")) {
			var p pod
			if err := yaml.Unmarshal(doc, &p); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if kind := p.proxy(); kind != "" {
				out[p.Metadata.Name] = p.workload(kind)
			}
		}
	}
	return out, nil
}

// proxy is the type of the pod's Envoy, as Istio's agent is told it: "proxy router" are the first
// arguments in a gateway's pod. Empty: the pod has none.
func (p pod) proxy() string {
	if p.Kind != "Pod" {
		return ""
	}
	for _, c := range p.Spec.Containers {
		if len(c.Args) > 1 && c.Args[0] == "proxy" {
			return c.Args[1]
		}
	}
	if p.Metadata.Labels[injected] == "istio" {
		return envoy.Sidecar
	}
	return ""
}

func (p pod) workload(kind string) envoy.Workload {
	return envoy.Workload{
		Type:           kind,
		Name:           p.Metadata.Name,
		Namespace:      p.Metadata.Namespace,
		ServiceAccount: p.Spec.ServiceAccountName,
		Address:        p.Status.PodIP,
		Labels:         p.Metadata.Labels,
		Annotations:    p.Metadata.Annotations,
	}
}
