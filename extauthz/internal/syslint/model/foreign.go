package model

import (
	"net"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
	"github.com/meshpass/meshpass/internal/suggest"
)

// findForeign finds the CUSTOM policies that ask authorizers of other systems. Without a Service of our authorizer, all of them can be ours.
func (m *Model) findForeign() {
	m.foreign = map[*objects.Object]bool{}
	own := m.authorizerHosts()
	if len(own) == 0 {
		return
	}
	for _, o := range m.AskingPolicies() {
		m.foreign[o] = m.isForeign(o, own)
	}
}

// authorizerHosts are the hosts that lead to pods of our authorizer.
func (m *Model) authorizerHosts() (all []*Host) {
	pods := slices.DeleteFunc(slices.Clone(m.Workloads), func(w *Workload) bool { return !w.RunsAuthorizer() })
	for _, a := range m.Authorizers {
		pods = append(pods, m.AuthorizerWorkloads(a)...)
	}
	for _, h := range m.Hosts {
		if slices.ContainsFunc(pods, h.SelectsWorkload) {
			all = append(all, h)
		}
	}
	return all
}

// isForeign reports a policy whose provider leads to other pods than ours. If it leads to no pods of the input, the policy is ours by its own
// selector, by a label of a workload that it selects, or by a name that resembles one of ours.
func (m *Model) isForeign(policy *objects.Object, own []*Host) bool {
	p := m.ProviderOf(policy)
	if p == nil || SelectorOf(policy).Find(GuardLabel) != nil {
		return false
	}
	service := p.Config.Find("service").String()
	leadsToPods := false
	for _, h := range m.FindHosts(service, "") {
		if slices.Contains(own, h) || IsOnLoopback(h.Object) {
			return false
		}
		leadsToPods = leadsToPods || len(m.WorkloadsOf(h)) > 0
	}
	if leadsToPods {
		return true
	}
	var names []string
	for _, h := range own {
		names = append(names, h.Name)
	}
	return suggest.Nearest(service, names) == "" && !slices.ContainsFunc(m.Workloads, func(w *Workload) bool { return w.Labels[GuardLabel] != "" && m.Selects(policy, w) })
}

// IsOnLoopback reports a ServiceEntry whose host is the caller's own pod.
func IsOnLoopback(o *objects.Object) bool {
	return slices.ContainsFunc(o.Spec().Find("endpoints").Entries(), func(n *objects.Node) bool {
		ip := net.ParseIP(n.Find("address").String())
		return ip != nil && ip.IsLoopback()
	})
}
