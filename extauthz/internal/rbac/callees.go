package rbac

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/rbac/hops"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/model"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// hop is one place where documents decide requests of an API.
type hop struct {
	callee identity.Workload
	atEdge bool // it sees the client's path
	open   bool // nothing asks about its requests
}

// chain is the hops that a request to one workload passes. All of them have to allow it.
type chain []hop

// calleeFinder finds the workloads that an API sends its requests to.
type calleeFinder struct {
	*model.Model
	documents []*policy.Document
	named     map[string][]identity.Workload // by API id, from the command line
}

// find gives a chain for each workload that may get the requests of a way. The error describes what the input lacks.
func (f calleeFinder) find(a *model.API, target *url.URL) ([]chain, error) {
	workloads := f.named[a.ID]
	var service identity.Workload
	open := map[identity.Workload]bool{}
	if len(workloads) == 0 {
		var err error
		if workloads, service, err = f.findBehind(a, target.Hostname(), open); err != nil {
			return nil, err
		}
	}
	var chains []chain
	for _, w := range workloads {
		var c chain
		if edge, err := identity.EdgeCallee(a.ID); err == nil && hops.IsTargeted(f.documents, edge) && f.edgeEnforces() {
			c = append(c, hop{callee: edge, atEdge: true})
		}
		atService := service != "" && hops.IsTargeted(f.documents, service)
		if atService {
			c = append(c, hop{callee: service})
		}
		if targeted := hops.IsTargeted(f.documents, w); targeted || !atService {
			c = append(c, hop{callee: w, open: open[w] && !targeted})
		}
		chains = append(chains, c)
	}
	return chains, nil
}

// edgeEnforces reports whether the plugin applies documents of the edge.
func (f calleeFinder) edgeEnforces() bool {
	return len(f.Plugins) == 0 || slices.ContainsFunc(f.Plugins, func(p *model.Plugin) bool { return p.Config.Edge.Enforce })
}

func (f calleeFinder) findBehind(a *model.API, host string, open map[identity.Workload]bool) (all []identity.Workload, service identity.Workload, err error) {
	found := f.FindHosts(host, a.Namespace)
	for _, h := range found {
		if h.Object.Kind == "Service" {
			service = identity.Workload("service/" + h.Namespace + "/" + h.Object.Name)
		}
		for _, w := range f.WorkloadsOf(h) {
			id := identity.Workload(w.Identity())
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
			open[id] = open[id] || !f.IsGuarded(w)
		}
	}
	if len(all) > 0 {
		return all, service, nil
	}
	if service != "" && hops.IsTargeted(f.documents, service) {
		return []identity.Workload{service}, service, nil
	}
	missing := "no Service of the input has this name"
	if len(found) > 0 {
		missing = "no workload of the input is behind this Service"
	}
	return nil, "", fmt.Errorf("API %s sends its requests to %s: %s; add it, or write --callee %s=ns/NAMESPACE/sa/ACCOUNT", a.Title(), host, missing, a.ID)
}

// describe names the callees of a chain.
func (c chain) describe() string {
	var names []string
	for _, h := range c {
		names = append(names, string(h.callee))
	}
	return strings.Join(names, ", ")
}
