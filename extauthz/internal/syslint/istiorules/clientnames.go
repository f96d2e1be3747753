package istiorules

import (
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var clientNameForwarded = registry.Define("client_name_forwarded", finding.Error,
	"proxyHeaders.forwardedClientCert, or an EnvoyFilter, changes how the sidecar of an authorizer with tls.mode mesh names the client.",
	"With FORWARD_ONLY the name is what the client writes: any workload can ask in the name of another one. With SANITIZE there is none, and every Check fails.",
	"Leave forwardedClientCert at Istio's default, APPEND_FORWARD, or set SANITIZE_SET.")

// checkClientNames finds settings that keep the sidecar of an authorizer from writing the name of its peer.
func (c *checker) checkClientNames(w *model.Workload) {
	check := func(at *objects.Node, mode, uri string) {
		switch {
		case mode != "" && mode != "UNDEFINED" && mode != "APPEND_FORWARD" && mode != "SANITIZE_SET":
			c.report.Add(clientNameForwarded, at, "forwardedClientCert of %s is %s", w.Title(), mode)
		case uri == "false":
			c.report.Add(clientNameForwarded, at, "setCurrentClientCertDetails of %s leaves the URI out, which is the client's name", w.Title())
		}
	}
	own, _ := w.ProxyConfig("proxyHeaders", "forwardedClientCert").(string)
	if uri, isBool := w.ProxyConfig("proxyHeaders", "setCurrentClientCertDetails", "uri").(bool); own != "" || isBool {
		check(w.Annotation("proxy.istio.io/config"), own, map[bool]string{true: "true", false: "false"}[uri || !isBool])
		return
	}
	for _, mesh := range c.MeshesOf(w) {
		if n := mesh.Find("defaultConfig", "proxyHeaders"); n != nil {
			check(n, n.Find("forwardedClientCert").String(), n.FindPath("setCurrentClientCertDetails", "uri").String())
		}
	}
	for _, o := range c.OfKind(objects.Networking, "EnvoyFilter") {
		if !c.Selects(o, w) {
			continue
		}
		for _, patch := range o.Spec().Find("configPatches").Entries() {
			if context := patch.FindPath("match", "context").String(); context == "GATEWAY" || context == "SIDECAR_OUTBOUND" {
				continue
			}
			patch.Find("patch").Walk(func(n *objects.Node) bool {
				if n.Key == "forward_client_cert_details" || n.Key == "forwardClientCertDetails" {
					check(n, strings.ToUpper(n.String()), "")
				}
				return true
			})
		}
	}
}
