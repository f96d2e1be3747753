package model

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Host is a name in Istio's registry: a Service, or a host of a ServiceEntry.
type Host struct {
	Object    *objects.Object
	Namespace string
	Name      string // NAME.NAMESPACE.svc.DOMAIN, or the host of the ServiceEntry
	Ports     []*objects.Node
	Selector  map[string]string // of a Service; may be empty
}

// SelectsWorkload reports whether the Service leads to the pods of a workload.
func (h *Host) SelectsWorkload(w *Workload) bool {
	if h.Namespace != w.Namespace || len(h.Selector) == 0 {
		return false
	}
	for label, value := range h.Selector {
		if w.Labels[label] != value {
			return false
		}
	}
	return true
}

// FindPort gives the port of a number; nil: it is absent.
func (h *Host) FindPort(number int) *objects.Node {
	for _, p := range h.Ports {
		if p.Find("port").Int() == number || p.Find("number").Int() == number {
			return p
		}
	}
	return nil
}

func (m *Model) readHosts() {
	for _, o := range m.OfKind(objects.Core, "Service") {
		m.Hosts = append(m.Hosts, &Host{
			Object: o, Namespace: o.Namespace, Name: o.Name + "." + o.Namespace + ".svc." + m.ClusterDomain,
			Ports: o.Spec().Find("ports").Entries(), Selector: o.Spec().Find("selector").TextMap(),
		})
	}
	for _, o := range m.OfKind(objects.Networking, "ServiceEntry") {
		for _, host := range o.Spec().Find("hosts").Entries() {
			m.Hosts = append(m.Hosts, &Host{
				Object: o, Namespace: o.Namespace, Name: host.String(), Ports: o.Spec().Find("ports").Entries(),
				Selector: o.Spec().FindPath("workloadSelector", "labels").TextMap(),
			})
		}
	}
	m.hostsByName = map[string][]*Host{}
	for _, h := range m.Hosts {
		m.hostsByName[h.Name] = append(m.hostsByName[h.Name], h)
	}
}

// FindHosts gives the entries of the registry for a name that an object of a namespace writes: [NAMESPACE/]HOST.
func (m *Model) FindHosts(name, namespace string) []*Host {
	only := ""
	if before, after, found := strings.Cut(name, "/"); found {
		only, name = before, after
	}
	full := name
	if service, ns, ok := m.SplitServiceName(name, namespace); ok {
		full = service + "." + ns + ".svc." + m.ClusterDomain
	}
	var found []*Host
	candidates := m.hostsByName[full]
	if full != name {
		candidates = slices.Concat(candidates, m.hostsByName[name])
	}
	for _, h := range candidates {
		if only == "" || h.Namespace == only {
			found = append(found, h)
		}
	}
	return found
}

// MatchHosts gives the entries of the registry for the host of a DestinationRule, which may begin with a wildcard.
func (m *Model) MatchHosts(pattern, namespace string) []*Host {
	suffix, isPattern := strings.CutPrefix(pattern, "*")
	if !isPattern {
		return m.FindHosts(pattern, namespace)
	}
	var found []*Host
	for _, h := range m.Hosts {
		if strings.HasSuffix(h.Name, suffix) {
			found = append(found, h)
		}
	}
	return found
}

// WorkloadsOf gives the workloads that a host leads to.
func (m *Model) WorkloadsOf(h *Host) []*Workload {
	var all []*Workload
	for _, w := range m.Workloads {
		if h.SelectsWorkload(w) {
			all = append(all, w)
		}
	}
	return all
}

// IsGuardedHost reports whether a host leads to a guarded workload. A name that is not in the registry leads to no workload.
func (m *Model) IsGuardedHost(name, namespace string) bool {
	for _, h := range m.FindHosts(name, namespace) {
		for _, w := range m.WorkloadsOf(h) {
			if m.IsGuarded(w) {
				return true
			}
		}
	}
	return false
}

// IsHeadless reports a Service without an address of its own.
func IsHeadless(service *objects.Object) bool {
	return service.Spec().Find("clusterIP").String() == "None"
}
