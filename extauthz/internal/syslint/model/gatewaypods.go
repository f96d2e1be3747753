package model

import (
	"cmp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// FindGateway finds a Gateway of the Gateway API; nil: the input does not have it.
func (m *Model) FindGateway(namespace, name string) *objects.Object {
	for _, o := range m.OfKind(objects.GatewayAPI, "Gateway") {
		if o.Namespace == namespace && o.Name == name {
			return o
		}
	}
	return nil
}

// IsWaypoint reports a Gateway of Istio's waypoint class.
func IsWaypoint(gateway *objects.Object) bool {
	return strings.HasSuffix(gateway.Spec().Find("gatewayClassName").String(), "waypoint")
}

// GatewayPods gives the pods of the Gateways of the Gateway API to which a policy applies. Istio deploys them, so they are seldom in the input.
func (m *Model) GatewayPods(policy *objects.Object) (all []*Workload) {
	for _, ref := range m.TargetRefs(policy) {
		for _, o := range m.OfKind(objects.GatewayAPI, "Gateway") {
			if m.isTarget(policy, ref, o) {
				all = append(all, m.PodsOfGateway(o))
			}
		}
	}
	return all
}

// isTarget reports a Gateway that a policy targets: by its name, by its class, or as the waypoint of a Service.
func (m *Model) isTarget(policy *objects.Object, ref *objects.Node, gateway *objects.Object) bool {
	name, class := ref.Find("name").String(), gateway.Spec().Find("gatewayClassName").String()
	switch ref.Find("kind").String() {
	case "Gateway":
		return gateway.Name == name && gateway.Namespace == policy.Namespace
	case "GatewayClass":
		return class == name
	case "Service":
		for _, o := range m.OfKind(objects.Core, "Service") {
			if o.Name == name && o.Namespace == policy.Namespace {
				used, namespace := m.WaypointOf(o)
				return used == gateway.Name && namespace == gateway.Namespace
			}
		}
	}
	return false
}

// UseWaypoint is the label with the waypoint of a namespace, a Service or pods.
const UseWaypoint = "istio.io/use-waypoint"

// WaypointOf gives the waypoint of a Service, by its labels or those of its namespace; "": it has no waypoint.
func (m *Model) WaypointOf(service *objects.Object) (name, namespace string) {
	if name = service.Labels[UseWaypoint]; name != "" {
		return name, cmp.Or(service.Labels[UseWaypoint+"-namespace"], service.Namespace)
	}
	return m.NamespaceLabel(service.Namespace, UseWaypoint), cmp.Or(m.NamespaceLabel(service.Namespace, UseWaypoint+"-namespace"), service.Namespace)
}

// PodsOfGateway gives the pods of a Gateway: those of the input, or those that Istio deploys, with the labels and the account that it gives them.
func (m *Model) PodsOfGateway(o *objects.Object) *Workload {
	if m.gatewayPods[o] == nil {
		m.gatewayPods[o] = m.findPodsOfGateway(o)
	}
	return m.gatewayPods[o]
}

func (m *Model) findPodsOfGateway(o *objects.Object) *Workload {
	const nameLabel = "gateway.networking.k8s.io/gateway-name"
	for _, w := range m.Workloads {
		if w.Namespace == o.Namespace && w.Labels[nameLabel] == o.Name {
			return w
		}
	}
	class, infrastructure := o.Spec().Find("gatewayClassName").String(), o.Spec().FindPath("infrastructure", "labels")
	w := &Workload{Object: o, Namespace: o.Namespace, Name: o.Name, Account: o.Name, Labels: infrastructure.TextMap(), PodSpec: &objects.Node{Kind: objects.Map}}
	if infrastructure == nil {
		for key, value := range o.Labels {
			w.Labels[key] = value
		}
	}
	w.Labels[nameLabel], w.Labels["gateway.networking.k8s.io/gateway-class-name"] = o.Name, class
	if !IsWaypoint(o) {
		w.Account += "-" + class
	}
	w.Account = cmp.Or(o.Annotations["gateway.istio.io/service-account"], o.Annotations["gateway.istio.io/name-override"], w.Account)
	return w
}

// AppliesToGateway reports whether a policy with a selector has pods of a gateway: those of the input, those that an object Gateway of Istio selects,
// or those of the Gateway API. known is false if the input has no gateways.
func (m *Model) AppliesToGateway(policy *objects.Object) (applies, known bool) {
	var pods []*Workload
	for _, w := range m.Workloads {
		if w.IsGateway() {
			pods = append(pods, w)
		}
	}
	for _, o := range m.OfKind(objects.Networking, "Gateway") {
		pods = append(pods, &Workload{Object: o, Namespace: o.Namespace, Labels: o.Spec().Find("selector").TextMap()})
	}
	for _, o := range m.OfKind(objects.GatewayAPI, "Gateway") {
		pods = append(pods, m.PodsOfGateway(o))
	}
	return slices.ContainsFunc(pods, func(w *Workload) bool { return m.Selects(policy, w) }), len(pods) > 0
}
