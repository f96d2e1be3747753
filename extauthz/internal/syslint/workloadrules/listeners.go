package workloadrules

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var (
	listenerOnLoopback = registry.Define("listener_on_loopback", finding.Error,
		"A listener of a shared authorizer, or the port of its probes, is on a loopback address.",
		"Only its own pod reaches it: every Check fails and failOpen decides, or the pod never becomes ready.",
		"Listen on 0.0.0.0, or on [::]. 127.0.0.1 is for an authorizer beside the workload.")
	servicePort = registry.Define("service_port_unknown", finding.Error,
		"A Service leads to a port that none of its pods has, or selects no pods although a workload has its name.",
		"Connections are refused: requests to the Service get 503.",
		"Write the name or number of a containerPort into targetPort, and labels of the pods into the selector.")
)

// checkListeners finds addresses that only the pod itself reaches. Beside a workload, its own sidecar asks.
func (c *checker) checkListeners(w *model.Workload, content *objects.Content) {
	if content == nil || content.Kind != objects.Authorizer || w.IsBeside() {
		return
	}
	for _, n := range content.Root.Find("listeners").Entries() {
		if address := n.Find("grpc"); isLoopback(address.String()) {
			c.report.Add(listenerOnLoopback, address, "the listener %s of %s is on %s", n.Find("name").String(), w.Title(), address.String())
		}
	}
	ops := content.Root.Find("ops")
	if !isLoopback(ops.String()) {
		return
	}
	_, port, _ := net.SplitHostPort(ops.String())
	for _, container := range w.Containers() {
		for _, probe := range []string{"readinessProbe", "livenessProbe", "startupProbe"} {
			at := container.FindPath(probe, "httpGet", "port")
			if at != nil && (at.String() == port || strconv.Itoa(w.FindContainerPort(at.String())) == port) {
				c.report.Add(listenerOnLoopback, ops, "ops of %s is on %s, and the kubelet's %s asks it at the pod's address", w.Title(), ops.String(), probe)
				break
			}
		}
	}
}

func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// checkServices compares Services with the pods behind them.
func (c *checker) checkServices() {
	for _, h := range c.Hosts {
		if h.Object.Kind != "Service" || len(h.Selector) == 0 {
			continue
		}
		pods := c.WorkloadsOf(h)
		if len(pods) == 0 {
			c.checkSelector(h)
			continue
		}
		c.checkTargets(h, pods)
	}
}

// checkTargets looks the ports of a Service up. A number that no container declares may be open all the same, so it counts only if the Service
// leads to no port that is declared.
func (c *checker) checkTargets(h *model.Host, pods []*model.Workload) {
	type lost struct {
		at, port *objects.Node
		target   string
	}
	var unknown []lost
	found := false
	for _, port := range h.Ports {
		if c.isProviderPort(h, port) { // listener_mismatch compares it with the listeners
			return
		}
		at := port.Find("targetPort")
		if at.IsEmpty() {
			at = port.Find("port")
		}
		if at == nil {
			at = port
		}
		target := at.String()
		number, err := strconv.Atoi(target)
		switch {
		case err != nil && !slices.ContainsFunc(pods, func(w *model.Workload) bool { return w.PodSpec == nil || w.FindContainerPort(target) != 0 }):
			c.report.Add(servicePort, at, "port %s of %s leads to %s of %s, which no container has", port.Find("port").String(), h.Object.Title(), target, pods[0].Title())
		case err != nil, slices.ContainsFunc(pods, func(w *model.Workload) bool { return w.PodSpec == nil || !w.DeclaresAllPorts() || w.HasPort(number) }):
			found = true
		default:
			unknown = append(unknown, lost{at, port, target})
		}
	}
	if found {
		return
	}
	for _, l := range unknown {
		c.report.Add(servicePort, l.at, "port %s of %s leads to %s of %s, which no container has", l.port.Find("port").String(), h.Object.Title(), l.target, pods[0].Title())
	}
}

// checkSelector finds a workload with the Service's name that the Service does not select.
func (c *checker) checkSelector(h *model.Host) {
	for _, w := range c.Workloads {
		if w.PodSpec != nil && w.Namespace == h.Namespace && w.Name == h.Object.Name && !c.isProviderHost(h) {
			c.report.Add(servicePort, h.Object.Spec().Find("selector"), "%s selects no pods, also not those of %s", h.Object.Title(), w.Title())
		}
	}
}

// isProviderHost reports the service of an extension provider.
func (c *checker) isProviderHost(h *model.Host) bool {
	return slices.ContainsFunc(h.Ports, func(port *objects.Node) bool { return c.isProviderPort(h, port) })
}

func (c *checker) isProviderPort(h *model.Host, port *objects.Node) bool {
	return slices.ContainsFunc(c.Meshes, func(mesh *model.Mesh) bool {
		return slices.ContainsFunc(mesh.Providers(), func(p *model.Provider) bool {
			return p.IsExtAuthz() && strings.HasSuffix("/"+p.Config.Find("service").String(), "/"+h.Name) && p.Config.Find("port").Int() == port.Find("port").Int()
		})
	})
}
