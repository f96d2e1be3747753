package crossrules

import (
	"path"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/finding"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

var serviceNotListed = registry.Define("service_not_listed", finding.Error,
	"A Service that a document targets, or that is behind a waypoint that asks, is not in the file services of the listener for waypoints, or with other ports.",
	"A Check names an address without a Service: every request to it is denied (no_callee).",
	"Write the file again: `meshpass services --out services.yaml`, with --watch where Services change.")

// checkServiceLists compares the Services of the input with the lists of the authorizers' listeners. A Service has to be in one of them.
func (c *checker) checkServiceLists() {
	var lists []*objects.Node
	for _, a := range c.Authorizers {
		for _, l := range a.Listeners {
			if l.Callee != "service" {
				continue
			}
			list := c.findServiceList(a, l.Node.Find("services").String())
			if list == nil {
				return // it is not in the input: `meshpass services` may write it beside the authorizer
			}
			lists = append(lists, list)
		}
	}
	if len(lists) == 0 {
		return
	}
	policies := c.AskingPolicies()
	for _, o := range c.OfKind(objects.Core, "Service") {
		if model.IsHeadless(o) || o.Spec().Find("type").String() == "ExternalName" || o.Labels["gateway.networking.k8s.io/gateway-name"] != "" {
			continue
		}
		isTarget := slices.ContainsFunc(c.Documents, func(d *model.Document) bool {
			return slices.Contains(d.Spec().FindPath("targets", "workloads").Texts(), serviceName(o))
		})
		if name, namespace := c.WaypointOf(o); isTarget || c.FindGateway(namespace, name) != nil && c.isServiceGuarded(serviceName(o), policies) {
			c.checkListed(o, lists)
		}
	}
}

// checkListed looks for a Service and each TCP port of it.
func (c *checker) checkListed(o *objects.Object, lists []*objects.Node) {
	var entry *objects.Node
	ports := map[string]bool{}
	for _, list := range lists {
		for _, each := range list.Entries() {
			if each.Find("namespace").String() == o.Namespace && each.Find("name").String() == o.Name {
				entry = each
				for _, port := range each.Find("ports").Texts() {
					ports[port] = true
				}
			}
		}
	}
	if entry == nil {
		c.report.Add(serviceNotListed, lists[0], "%s (%s) is not in the list", o.Title(), serviceName(o))
		return
	}
	for _, p := range o.Spec().Find("ports").Entries() {
		protocol, number := p.Find("protocol").String(), p.Find("port").String()
		if (protocol == "" || protocol == "TCP") && !ports[number] {
			c.report.Add(serviceNotListed, entry, "port %s of %s is not in its entry", number, o.Title())
		}
	}
}

// findServiceList gives the list at a path of an authorizer: in a volume of its container, or else a file of this name in the input.
func (c *checker) findServiceList(a *model.AuthorizerConfig, file string) *objects.Node {
	for _, w := range c.AuthorizerWorkloads(a) {
		for _, n := range w.Containers() {
			if !model.IsAuthorizer(n) {
				continue
			}
			config, _ := model.Argument(n, "config")
			if _, content := c.FindFile(w.ContainerOf(n), model.ResolvePath(path.Dir(config), file), false); content != nil && content.Kind == objects.ServiceList {
				return content.Root.Find("services")
			}
		}
	}
	all := c.Set.ContentsOf(objects.ServiceList)
	if i := slices.IndexFunc(all, func(each *objects.Content) bool { return each.Holder == "" && each.Name == path.Base(file) }); i >= 0 {
		return all[i].Root.Find("services")
	}
	return nil
}
