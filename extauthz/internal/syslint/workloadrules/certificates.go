package workloadrules

import (
	"encoding/json"
	"path"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var certificateMissing = registry.Define("certificate_not_written", finding.Error,
	"The authorizer reads its certificate from an empty volume, and nothing in the pod writes it there.",
	"The authorizer does not start: its certificate does not exist.",
	"Inject Istio's agent, with OUTPUT_CERTS in proxy.istio.io/config and the same folder of the volume in sidecar.istio.io/userVolumeMount: see manifests/components/certificate. It writes cert-chain.pem, key.pem and root-cert.pem.")

// agentFiles are what Istio's agent writes into the folder OUTPUT_CERTS.
var agentFiles = []string{"cert-chain.pem", "key.pem", "root-cert.pem"}

// checkCertificates looks for the program that writes the files of TLS, where they are in a volume that is empty at first.
func (c *checker) checkCertificates(w *model.Workload, container *model.Container, content *objects.Content, folder string) {
	for _, key := range []string{"certFile", "keyFile", "clientCAFile"} {
		n := content.Root.FindPath("tls", key)
		file := n.String()
		if file == "" {
			continue
		}
		volume, rest, known := container.FindVolume(model.ResolvePath(folder, file))
		if volume.Find("emptyDir") == nil || !known || c.hasOtherWriter(w, container, volume) {
			continue
		}
		if problem := c.findAgentProblem(w, volume.Find("name").String(), rest); problem != "" {
			c.report.Add(certificateMissing, n, "%s of %s: %s", key, w.Title(), problem)
			return
		}
	}
}

// hasOtherWriter reports a further container of the pod with the volume.
func (c *checker) hasOtherWriter(w *model.Workload, container *model.Container, volume *objects.Node) bool {
	all := slices.Concat(w.PodSpec.Find("containers").Entries(), w.PodSpec.Find("initContainers").Entries())
	return slices.ContainsFunc(all, func(n *objects.Node) bool {
		return n != container.Node && slices.ContainsFunc(n.Find("volumeMounts").Entries(), func(m *objects.Node) bool { return m.Find("name").String() == volume.Find("name").String() })
	})
}

// findAgentProblem is why Istio's agent does not write a file of a volume; "": it does.
func (c *checker) findAgentProblem(w *model.Workload, volume, file string) string {
	if c.InjectionOf(w) == model.NotInjected {
		return "no container writes it, and the pod gets no agent of Istio"
	}
	output, _ := w.ProxyConfig("proxyMetadata", "OUTPUT_CERTS").(string)
	for _, mesh := range c.MeshesOf(w) {
		if output == "" {
			output = mesh.Find("defaultConfig", "proxyMetadata", "OUTPUT_CERTS").String()
		}
	}
	if output == "" {
		return "no container writes it, and OUTPUT_CERTS is not set for Istio's agent"
	}
	mounts := map[string]struct{ MountPath, SubPath string }{}
	_ = json.Unmarshal([]byte(w.Annotation("sidecar.istio.io/userVolumeMount").String()), &mounts)
	switch mount, mounted := mounts[volume]; {
	case !mounted:
		return "Istio's agent does not mount the volume " + volume
	case path.Clean(mount.MountPath) != path.Clean(output):
		return "Istio's agent writes to " + output + ", and mounts the volume at " + mount.MountPath
	case !slices.Contains(agentFiles, file):
		return "Istio's agent writes no file " + file
	}
	return ""
}
