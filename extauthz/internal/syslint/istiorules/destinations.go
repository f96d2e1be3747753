package istiorules

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

var destinationUnknown = registry.Define("route_destination_unknown", finding.Error,
	"A route leads to a Service, a port or a subset that does not exist.",
	"Requests on this route get 503, or 500 at a gateway of the Gateway API, before any Check.",
	"Write a Service of the registry, a port of the Service, and a subset of a DestinationRule whose labels its pods have.")

// checkDestinations looks up what routes lead to. Namespaces without a Service in the input are left out.
func (c *checker) checkDestinations() {
	for _, o := range c.OfKind(objects.Networking, "VirtualService") {
		for _, http := range o.Spec().Find("http").Entries() {
			var all []*objects.Node
			for _, route := range http.Find("route").Entries() {
				all = append(all, route.Find("destination"))
			}
			for _, mirror := range http.Find("mirrors").Entries() {
				all = append(all, mirror.Find("destination"))
			}
			for _, destination := range append(all, http.Find("mirror")) {
				c.checkDestination(o, destination)
			}
		}
	}
	for _, kind := range []string{"HTTPRoute", "GRPCRoute"} {
		for _, o := range c.OfKind(objects.GatewayAPI, kind) {
			for _, rule := range o.Spec().Find("rules").Entries() {
				for _, ref := range rule.Find("backendRefs").Entries() {
					c.checkBackend(o, ref)
				}
			}
		}
	}
}

func (c *checker) checkDestination(o *objects.Object, destination *objects.Node) {
	host := destination.Find("host")
	found := c.FindHosts(host.String(), o.Namespace)
	switch {
	case host.String() == "":
		return
	case strings.Count(host.String(), ".") == 1 && len(found) > 0 && found[0].Name != host.String():
		c.report.Add(destinationUnknown, host, "%s leads to %s: Istio adds nothing to a name with a dot, write %s", o.Title(), host.String(), found[0].Name)
		return
	case !c.isMeshName(host.String()):
		return
	}
	if len(found) == 0 {
		c.reportUnknownHost(o, host, host.String())
		return
	}
	h := found[0]
	if number := destination.FindPath("port", "number"); number != nil && h.FindPort(number.Int()) == nil {
		c.report.Add(destinationUnknown, number, "%s leads to port %s of %s, which has no such port", o.Title(), number.String(), h.Object.Title())
	}
	if subset := destination.Find("subset"); subset.String() != "" {
		c.checkSubset(o, subset, h)
	}
}

// reportUnknownHost reports a name in a namespace with other Services in the input.
func (c *checker) reportUnknownHost(o *objects.Object, at *objects.Node, host string) {
	_, namespace, ok := c.SplitServiceName(host, o.Namespace)
	var names []string
	for _, h := range c.Hosts {
		if h.Object.Kind == "Service" && h.Namespace == namespace {
			names = append(names, h.Name)
		}
	}
	if ok && len(names) > 0 {
		name, _, _ := c.SplitServiceName(host, o.Namespace)
		c.report.Add(destinationUnknown, at, "%s leads to %s, and no Service has this name%s", o.Title(), host, suggest.DidYouMean(name+"."+namespace+".svc."+c.ClusterDomain, names))
	}
}

// checkSubset looks a subset up in the DestinationRules of its host, and its labels at the pods.
func (c *checker) checkSubset(o *objects.Object, subset *objects.Node, h *model.Host) {
	known := false
	for _, rule := range c.OfKind(objects.Networking, "DestinationRule") {
		if !slices.Contains(c.MatchHosts(rule.Spec().Find("host").String(), rule.Namespace), h) {
			continue
		}
		for _, each := range rule.Spec().Find("subsets").Entries() {
			if each.Find("name").String() != subset.String() {
				continue
			}
			known = true
			pods := c.WorkloadsOf(h)
			if len(pods) > 0 && !slices.ContainsFunc(pods, func(w *model.Workload) bool { return hasLabels(w, each.Find("labels")) }) {
				c.report.Add(destinationUnknown, each, "no pods of %s have the labels of the subset %s, which %s leads to", h.Object.Title(), subset.String(), o.Title())
			}
		}
	}
	if !known {
		c.report.Add(destinationUnknown, subset, "%s leads to the subset %s of %s, which no DestinationRule has", o.Title(), subset.String(), h.Object.Title())
	}
}

func hasLabels(w *model.Workload, labels *objects.Node) bool {
	return !slices.ContainsFunc(labels.Members(), func(m *objects.Node) bool { return w.Labels[m.Key] != m.String() })
}

func (c *checker) checkBackend(o *objects.Object, ref *objects.Node) {
	if kind := ref.Find("kind").String(); kind != "" && kind != "Service" || ref.Find("group").String() != "" {
		return
	}
	name := ref.Find("name").String() + "." + cmp.Or(ref.Find("namespace").String(), o.Namespace)
	found := c.FindHosts(name, o.Namespace)
	if len(found) == 0 {
		c.reportUnknownHost(o, ref.Find("name"), name)
		return
	}
	if port := ref.Find("port"); port != nil && found[0].FindPort(port.Int()) == nil {
		c.report.Add(destinationUnknown, port, "%s leads to port %s of %s, which has no such port", o.Title(), port.String(), found[0].Object.Title())
	}
}
