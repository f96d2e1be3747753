// Package cluster is the Kubernetes side of the local mesh: the objects that Istio would get from a
// cluster's API server for the demo's workloads. The files are written for subnet.Template. All other
// packages read the names of workloads from them too, so that there is only one list.
package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"

	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/internal/subnet"
)

// Files are the cluster's objects, one file per workload.
//
//go:embed *.yaml
var Files embed.FS

const (
	// injected is the label that Istio's sidecar injection puts on a pod.
	injectedLabel = "security.istio.io/tlsMode"
	// inboundPortsAnnotation is the annotation with the ports of a pod that its sidecar intercepts. With an
	// empty value, the pod has a sidecar only for its certificate.
	inboundPortsAnnotation = "traffic.sidecar.istio.io/includeInboundPorts"
	// redirection is the annotation that Istio's CNI puts on a pod in ambient mode.
	redirectionAnnotation = "ambient.istio.io/redirection"
)

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

// LoadTourWorkloads returns the pods of the tour with an Envoy, by name, with the addresses of a prefix
// such as "127.80.3.".
func LoadTourWorkloads(prefix string) (map[string]envoy.Workload, error) {
	return LoadWorkloads(Files, prefix)
}

// LoadWorkloads does so for the objects of another cluster.
func LoadWorkloads(objects fs.FS, prefix string) (map[string]envoy.Workload, error) {
	out := map[string]envoy.Workload{}
	err := readObjects(objects, prefix, func(doc []byte) error {
		var p pod
		err := yaml.Unmarshal(doc, &p)
		if kind := p.proxyType(); kind != "" {
			out[p.Metadata.Name] = p.newWorkload(kind)
		}
		return err
	})
	return out, err
}

// readObjects calls read with every object.
func readObjects(objects fs.FS, prefix string, read func(doc []byte) error) error {
	files, err := fs.Glob(objects, "*.yaml")
	if err != nil {
		return err
	}
	for _, name := range files {
		data, err := fs.ReadFile(objects, name)
		if err != nil {
			return err
		}
		for _, doc := range bytes.Split(subnet.Localise(data, prefix), []byte("\n---\n")) {
			if err := read(doc); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

// proxyType is the type of the pod's Envoy, as Istio's agent gets it: the first arguments in a
// gateway's pod are "proxy router". Empty: the pod has no Envoy.
func (p pod) proxyType() string {
	if p.Kind != "Pod" {
		return ""
	}
	for _, c := range p.Spec.Containers {
		if len(c.Args) > 1 && c.Args[0] == "proxy" {
			return c.Args[1]
		}
	}
	ports, some := p.Metadata.Annotations[inboundPortsAnnotation]
	if p.Metadata.Labels[injectedLabel] == "istio" && (!some || ports != "") || p.isAmbient() {
		return envoy.Sidecar
	}
	return ""
}

// isAmbient reports whether the pod has no Envoy, but a ztunnel beside it. On the side of the callee an
// Envoy is the stand-in for that ztunnel: a sidecar that accepts tunnels. Istio gives it the same
// policies.
func (p pod) isAmbient() bool { return p.Metadata.Annotations[redirectionAnnotation] == "enabled" }

func (p pod) newWorkload(kind string) envoy.Workload {
	return envoy.Workload{
		Type:           kind,
		Name:           p.Metadata.Name,
		Namespace:      p.Metadata.Namespace,
		ServiceAccount: p.Spec.ServiceAccountName,
		Address:        p.Status.PodIP,
		Labels:         p.Metadata.Labels,
		Annotations:    p.Metadata.Annotations,
		Ambient:        p.isAmbient(),
	}
}
