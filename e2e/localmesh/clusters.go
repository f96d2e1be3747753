package localmesh

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/e2e/localmesh/cluster"
	"github.com/meshpass/meshpass/e2e/localmesh/topologies"
	"github.com/meshpass/meshpass/internal/process"
)

// writeClusters writes the objects and policies of the clusters after the first.
func (m *Mesh) writeClusters() error {
	m.clusterOf = map[string]topologies.Cluster{}
	for _, c := range m.topology.Clusters {
		for _, folder := range []string{c.ObjectFolder(), c.PolicyFolder()} {
			if err := m.writeLayers(folder, nil, folder); err != nil {
				return err
			}
		}
		workloads, err := cluster.LoadWorkloads(os.DirFS(m.filePath(c.ObjectFolder())), m.net.Prefix())
		if err != nil {
			return err
		}
		for name, w := range workloads {
			w.TrustDomain = c.TrustDomain
			workloads[name], m.clusterOf[name] = w, c
		}
		maps.Copy(m.workloads, workloads)
	}
	return nil
}

// findControlPlane gives the address of the control plane that configures a workload's Envoy.
func (m *Mesh) findControlPlane(workload string) string {
	if c, ok := m.clusterOf[workload]; ok {
		return m.addressOf(c.Host, controlPlanePort)
	}
	return m.addressOf(controlPlaneHost, controlPlanePort)
}

// startIstiods starts a control plane for each cluster. Each of them also reads the objects of the
// first cluster, as with Istio's remote secrets, so that calls from one cluster to another work.
func (m *Mesh) startIstiods(ctx context.Context) error {
	first := m.newIstiodSpec("istiod", m.addressOf(controlPlaneHost, controlPlanePort), m.topology.Istio)
	if err := m.startIstiod(ctx, first, controlPlaneHost); err != nil {
		return err
	}
	for _, c := range m.topology.Clusters {
		spec := m.newIstiodSpec("istiod-"+c.Name, m.addressOf(c.Host, controlPlanePort), c.Istio, "--dir", m.filePath(c.ObjectFolder()))
		if err := m.startIstiod(ctx, spec, c.Host); err != nil {
			return err
		}
	}
	return nil
}

func (m *Mesh) startIstiod(ctx context.Context, spec process.Spec, host int) error {
	return m.startProgram(ctx, spec, "istiod", process.NewListeningCheck(m.addressOf(host, controlPlanePort)))
}

// newIstiodSpec describes a control plane with our manifests as shipped, and those of some folders.
func (m *Mesh) newIstiodSpec(name, listen string, folders []string, more ...string) process.Spec {
	manifests := filepath.Join(m.root, "manifests", "istio")
	args := []string{"serve", "--listen", listen,
		"--mesh", filepath.Join(manifests, "install.yaml"), "--dir", manifests, "--dir", filepath.Join(manifests, "strict"), "--dir", m.filePath("cluster")}
	if m.options.IstiodDebug {
		host, _, _ := strings.Cut(listen, ":")
		args = append(args, "--debug", fmt.Sprintf("%s:%d", host, istiodDebugPort))
	}
	for _, folder := range folders {
		args = append(args, "--dir", filepath.Join(manifests, folder))
	}
	return process.Spec{Name: name, Path: "istiod", Args: append(args, more...), Env: m.topology.Istiod}
}
