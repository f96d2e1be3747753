package crossrules

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
	"github.com/meshpass/meshpass/shared/identity"
)

var (
	ruleIssuer = registry.Define("rule_issuer_untrusted", finding.Error,
		"A rule, or an entry of a list of revocations, names an issuer of tokens that no authorizer trusts.",
		"No verified token has it: an allow rule never matches, a deny rule never does, and the entry revokes nothing.",
		"Write an issuer of trust, byte for byte.")
	ruleAddress = registry.Define("rule_address_unknown", finding.Error,
		"A rule names a port or a host of the cluster that what it guards does not have.",
		"The rule never matches.",
		"Write the port of the pods (for a target service/…, that of the Service; for edge/…, that of the gateway), or the name of a Service.")
	overrideUnknown = registry.Define("override_unknown", finding.Error,
		"An override has a target that no document has.",
		"It lifts nothing: in an emergency the requests stay denied.",
		"Write the target as the document does.")
)

// checkRuleNames looks up what rules name beside workloads.
func (c *checker) checkRuleNames() {
	issuers := c.trustedIssuers()
	for _, d := range c.Documents {
		for _, rule := range d.Spec().Find("rules").Entries() {
			name := d.Name + "/" + rule.Find("name").String()
			for _, n := range rule.FindPath("from", "issuers").Entries() {
				if len(issuers) > 0 && !slices.Contains(issuers, n.String()) {
					c.report.Add(ruleIssuer, n, "rule %s names the issuer %s, which no authorizer trusts%s", name, n.String(), suggest.DidYouMean(n.String(), issuers))
				}
			}
			if ports := c.portsBehind(d); len(ports) > 0 {
				for _, n := range rule.FindPath("to", "ports").Entries() {
					if !slices.Contains(ports, n.Int()) {
						c.report.Add(ruleAddress, n, "rule %s names the port %s, and the targets have %v", name, n.String(), ports)
					}
				}
			}
			for _, n := range rule.FindPath("to", "hosts").Entries() {
				c.checkHostName(name, n, n.String())
			}
		}
	}
}

// portsBehind gives the ports of a document's targets, as requests arrive; empty: some are not known.
func (c *checker) portsBehind(d *model.Document) (all []int) {
	for i, target := range d.Spec().FindPath("targets", "workloads").Entries() {
		found := len(all)
		switch text := target.String(); {
		case strings.HasPrefix(text, "service/"):
			for _, o := range c.OfKind(objects.Core, "Service") {
				if text == "service/"+o.Namespace+"/"+o.Name {
					for _, p := range o.Spec().Find("ports").Entries() {
						all = append(all, p.Find("port").Int())
					}
				}
			}
		case strings.HasPrefix(text, "edge/"):
			if a := c.FindAPI(strings.TrimPrefix(text, "edge/")); a != nil {
				listen, _ := c.GatewayOf(a).Setting("listen_port")
				port, _ := strconv.Atoi(listen)
				if a.Port != nil {
					port = a.Port.Int()
				}
				if port > 0 {
					all = append(all, port)
				}
			}
		case strings.HasPrefix(text, "ns/") && i < len(d.Compiled.Spec().Targets):
			for _, w := range c.Workloads {
				if d.Compiled.Spec().Targets[i].Match(identity.Workload(w.Identity())) {
					all = append(all, c.portsOfPods(w)...)
				}
			}
		}
		if len(all) == found {
			return nil
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func (c *checker) portsOfPods(w *model.Workload) (all []int) {
	for _, p := range c.PortsOf(w) {
		all = append(all, p.Number)
	}
	for _, container := range w.Containers() {
		for _, p := range container.Find("ports").Entries() {
			all = append(all, p.Find("containerPort").Int())
		}
	}
	return all
}

// checkHostName looks up a host that can only be a Service. Other names may be anywhere in DNS.
func (c *checker) checkHostName(rule string, n *objects.Node, host string) {
	if strings.Contains(host, "*") || !strings.HasSuffix(host, ".svc."+c.ClusterDomain) || len(c.FindHosts(host, "")) > 0 {
		return
	}
	var names []string
	known := false
	_, namespace, _ := c.SplitServiceName(host, "")
	for _, h := range c.Hosts {
		names = append(names, h.Name)
		known = known || h.Namespace == namespace
	}
	if near := suggest.DidYouMean(host, names); known || near != "" {
		c.report.Add(ruleAddress, n, "rule %s names the host %s, which no Service is%s", rule, host, near)
	}
}

// checkRevocations looks up the issuers of lists of revocations.
func (c *checker) checkRevocations() {
	issuers := c.trustedIssuers()
	for _, list := range c.Set.ContentsOf(objects.Revocations) {
		for _, entry := range list.Root.Find("revocations").Entries() {
			if n := entry.Find("issuer"); len(issuers) > 0 && n != nil && !slices.Contains(issuers, n.String()) {
				c.report.Add(ruleIssuer, n, "an entry of %s names the issuer %s, which no authorizer trusts%s", list.Name, n.String(), suggest.DidYouMean(n.String(), issuers))
			}
		}
	}
}

// checkOverrides looks up the targets of overrides.
func (c *checker) checkOverrides() {
	if len(c.Documents) == 0 {
		return
	}
	var targets []string
	for _, d := range c.Documents {
		targets = append(targets, d.Spec().FindPath("targets", "workloads").Texts()...)
	}
	for _, file := range c.Set.ContentsOf(objects.Overrides) {
		for _, entry := range file.Root.Find("overrides").Entries() {
			n := entry.Find("target")
			pattern, err := c.Domains().ParseTarget(n.String())
			if err != nil || slices.ContainsFunc(c.Documents, func(d *model.Document) bool {
				return slices.ContainsFunc(d.Compiled.Spec().Targets, func(p identity.Pattern) bool {
					return p.String() == pattern.String() || p.Match(identity.Workload(n.String())) || pattern.Match(identity.Workload(p.Literal()))
				})
			}) {
				continue
			}
			c.report.Add(overrideUnknown, n, "no document has the target %s%s", n.String(), suggest.DidYouMean(n.String(), targets))
		}
	}
}
