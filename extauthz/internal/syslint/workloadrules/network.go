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
	checksBlocked = registry.Define("network_policy_blocks_checks", finding.Error,
		"A NetworkPolicy keeps the sidecar of a guarded workload from the authorizer's port: as egress of the workload, or as ingress of the authorizer.",
		"Where the network enforces it, every Check fails: requests get 503, or with failOpen they pass without a decision.",
		"Admit pods with the label meshpass.dev/guarded of all namespaces to the port, as manifests/base/networkpolicy.yaml does; in egress of the workload, the authorizer's pods and the port of the pods, not the Service's.")
	scrapesBlocked = registry.Define("network_policy_blocks_metrics", finding.Warning,
		"NetworkPolicies admit nobody to the port of the authorizer's metrics, or not the Prometheus of the input.",
		"The metrics are not scraped, and no alert of the authorizer fires. The kubelet's probes of the same port need no rule.",
		"Admit the namespace of Prometheus to the port, as manifests/base/networkpolicy.yaml does by the label meshpass.dev/monitoring: \"true\".")
)

// checkNetworks checks the connections that NetworkPolicies must admit.
func (c *checker) checkNetworks() {
	if !c.HasNetworkPolicies() {
		return
	}
	pods := map[*model.Host][]*model.Workload{}
	for _, w := range c.Workloads {
		for _, policy := range c.CustomPolicies(w) {
			p := c.ProviderOf(policy)
			if p == nil || c.IsAmbientWorkload(w) {
				continue
			}
			for _, h := range c.FindHosts(p.Config.Find("service").String(), "") {
				if pods[h] == nil {
					pods[h] = c.WorkloadsOf(h)
				}
				c.checkChecks(w, h, h.FindPort(p.Config.Find("port").Int()), pods[h])
			}
		}
	}
	for _, policy := range c.AskingPolicies() {
		for _, w := range c.GatewayPods(policy) {
			c.checkGatewayChecks(w, c.ProviderOf(policy))
		}
	}
	c.checkScrapes()
}

// checkGatewayChecks checks the way from the pods of a gateway to the authorizers.
func (c *checker) checkGatewayChecks(w *model.Workload, p *model.Provider) {
	if p == nil {
		return
	}
	for _, h := range c.FindHosts(p.Config.Find("service").String(), "") {
		c.checkChecks(w, h, h.FindPort(p.Config.Find("port").Int()), c.WorkloadsOf(h))
	}
}

// checkChecks checks the way from a guarded workload to the authorizers behind a Service.
func (c *checker) checkChecks(w *model.Workload, h *model.Host, port *objects.Node, authorizers []*model.Workload) {
	for _, authorizer := range authorizers {
		number := authorizer.ResolvePort(port)
		if port == nil || number == 0 || authorizer == w || authorizer.IsBeside() || c.IsAmbientWorkload(authorizer) {
			continue
		}
		for _, direction := range []model.Direction{model.Egress, model.Ingress} {
			if o := c.FindBlocking(direction, w, authorizer, number); o != nil {
				c.report.Add(checksBlocked, o.Spec(), "%s does not let %s reach port %d of %s, where %s leads", o.Title(), w.Title(), number, authorizer.Title(), h.Name)
			}
		}
	}
}

// checkScrapes checks the way from Prometheus to the metrics of authorizers.
func (c *checker) checkScrapes() {
	var scrapers []*model.Workload
	for _, w := range c.Workloads {
		if isPrometheus(w) {
			scrapers = append(scrapers, w)
		}
	}
	for _, a := range c.Authorizers {
		ops := a.Root.Find("ops").String()
		_, text, _ := net.SplitHostPort(ops)
		port, err := strconv.Atoi(text)
		if err != nil || isLoopback(ops) {
			continue
		}
		for _, w := range c.AuthorizerWorkloads(a) {
			if o := c.FindClosing(w, port); o != nil {
				c.report.Add(scrapesBlocked, o.Spec(), "%s admits nobody to port %d of %s", o.Title(), port, w.Title())
				continue
			}
			for _, scraper := range scrapers {
				for _, direction := range []model.Direction{model.Egress, model.Ingress} {
					if o := c.FindBlocking(direction, scraper, w, port); o != nil {
						c.report.Add(scrapesBlocked, o.Spec(), "%s does not let %s reach port %d of %s", o.Title(), scraper.Title(), port, w.Title())
					}
				}
			}
		}
	}
}

// isPrometheus reports pods of Prometheus, by their label or the image.
func isPrometheus(w *model.Workload) bool {
	return w.Labels["app.kubernetes.io/name"] == "prometheus" || slices.ContainsFunc(w.Containers(), func(n *objects.Node) bool {
		image, _, _ := strings.Cut(n.Find("image").String(), "@")
		return strings.HasSuffix(strings.Split(image, ":")[0], "/prometheus")
	})
}
