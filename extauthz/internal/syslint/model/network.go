package model

import (
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// Direction is one of the two sides of a NetworkPolicy.
type Direction struct{ policyType, rules, peers string }

// The directions.
var (
	Ingress = Direction{"Ingress", "ingress", "from"}
	Egress  = Direction{"Egress", "egress", "to"}
)

// HasNetworkPolicies reports whether the input has NetworkPolicies.
func (m *Model) HasNetworkPolicies() bool { return len(m.networkPolicies) > 0 }

// FindBlocking gives a NetworkPolicy that isolates pods in a direction, if no policy admits a connection over TCP to a port of the pods that take
// it; nil: the connection is admitted, or the input does not show that. Addresses (ipBlock), and labels of namespaces that are not in the input, are
// taken for those of the other pods.
func (m *Model) FindBlocking(direction Direction, from, to *Workload, port int) *objects.Object {
	own, other := from, to
	if direction == Ingress {
		own, other = to, from
	}
	return m.findUnlessAdmitted(direction, own, func(policy *objects.Object, rule *objects.Node) bool {
		return admitsPort(rule, to, port) && m.admitsPeer(rule.Find(direction.peers), policy.Namespace, other)
	})
}

// FindClosing gives a NetworkPolicy that isolates pods, if no policy admits anybody to one of their ports; nil: there is no such one.
func (m *Model) FindClosing(w *Workload, port int) *objects.Object {
	return m.findUnlessAdmitted(Ingress, w, func(_ *objects.Object, rule *objects.Node) bool { return admitsPort(rule, w, port) })
}

// findUnlessAdmitted returns the first NetworkPolicy that isolates pods in a direction. It returns nil if a rule of one of them admits.
func (m *Model) findUnlessAdmitted(direction Direction, w *Workload, admits func(policy *objects.Object, rule *objects.Node) bool) *objects.Object {
	isolating := m.isolating(direction, w)
	for _, o := range isolating {
		if slices.ContainsFunc(o.Spec().Find(direction.rules).Entries(), func(rule *objects.Node) bool { return admits(o, rule) }) {
			return nil
		}
	}
	if len(isolating) == 0 {
		return nil
	}
	return isolating[0]
}

// isolating are the NetworkPolicies that select pods in a direction. Pods in the node's network are out of their reach.
func (m *Model) isolating(direction Direction, w *Workload) (all []*objects.Object) {
	if w.PodSpec == nil || w.PodSpec.Find("hostNetwork").IsTrue() {
		return nil
	}
	for _, o := range m.networkPolicies[w.Namespace] {
		types := o.Spec().Find("policyTypes").Texts()
		acts := slices.Contains(types, direction.policyType) || len(types) == 0 && (direction == Ingress || o.Spec().Find("egress") != nil)
		if acts && MatchesSelector(o.Spec().Find("podSelector"), w.label) {
			all = append(all, o)
		}
	}
	return all
}

func (w *Workload) label(key string) (string, bool) {
	value, found := w.Labels[key]
	return value, found
}

// admitsPort compares the ports of a rule with a port of pods over TCP: a number, a range, or the name of a port of the pods.
func admitsPort(rule *objects.Node, to *Workload, port int) bool {
	ports := rule.Find("ports").Entries()
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p *objects.Node) bool {
		if protocol := p.Find("protocol").String(); protocol != "" && protocol != "TCP" {
			return false
		}
		first := p.Find("port")
		if first.IsEmpty() {
			return true
		}
		if first.Int() == 0 {
			return to.FindContainerPort(first.String()) == port
		}
		return first.Int() <= port && port <= max(first.Int(), p.Find("endPort").Int())
	})
}

func (m *Model) admitsPeer(peers *objects.Node, namespace string, w *Workload) bool {
	return peers.IsEmpty() || slices.ContainsFunc(peers.Entries(), func(peer *objects.Node) bool {
		pods, spaces := peer.Find("podSelector"), peer.Find("namespaceSelector")
		switch {
		case peer.Find("ipBlock") != nil:
			return true
		case pods != nil && !MatchesSelector(pods, w.label):
			return false
		case spaces == nil:
			return w.Namespace == namespace
		}
		return m.matchesNamespace(spaces, w.Namespace)
	})
}

// matchesNamespace reports whether a label selector has a namespace. A namespace that is not in the input may have any label.
func (m *Model) matchesNamespace(selector *objects.Node, name string) bool {
	if namespace := m.Namespaces[name]; namespace != nil {
		return MatchesNamespace(selector, namespace)
	}
	isUnknown := false
	matches := MatchesSelector(selector, func(key string) (string, bool) {
		isUnknown = isUnknown || key != namespaceNameLabel
		return name, key == namespaceNameLabel
	})
	return matches || isUnknown
}

// namespaceNameLabel is the label that Kubernetes gives every namespace.
const namespaceNameLabel = "kubernetes.io/metadata.name"

// MatchesNamespace reports whether a label selector has a namespace.
func MatchesNamespace(selector *objects.Node, namespace *objects.Object) bool {
	return MatchesSelector(selector, func(key string) (string, bool) {
		if key == namespaceNameLabel {
			return namespace.Name, true
		}
		value, found := namespace.Labels[key]
		return value, found
	})
}

// MatchesSelector reports whether a label selector of Kubernetes has an object with labels.
func MatchesSelector(selector *objects.Node, label func(key string) (value string, found bool)) bool {
	for _, m := range selector.Find("matchLabels").Members() {
		if value, found := label(m.Key); !found || value != m.String() {
			return false
		}
	}
	for _, e := range selector.Find("matchExpressions").Entries() {
		value, found := label(e.Find("key").String())
		listed := slices.Contains(e.Find("values").Texts(), value)
		switch e.Find("operator").String() {
		case "In":
			found = found && listed
		case "NotIn":
			found = !found || !listed
		case "DoesNotExist":
			found = !found
		}
		if !found {
			return false
		}
	}
	return true
}
