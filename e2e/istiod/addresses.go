package main

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	gateway "sigs.k8s.io/gateway-api/apis/v1"
)

// addressGateways writes into each Gateway the address of the Service that
// carries its name, as Istio's deployment controller does once that is there:
// Istio sends nothing to a waypoint without one, and no service either.
func addressGateways(objects []runtime.Object) {
	for _, o := range objects {
		if g, ok := o.(*gateway.Gateway); ok && len(g.Status.Addresses) == 0 {
			g.Status.Addresses = serviceAddresses(objects, g.Namespace, g.Name)
		}
	}
}

func serviceAddresses(objects []runtime.Object, namespace, name string) []gateway.GatewayStatusAddress {
	for _, o := range objects {
		if s, ok := o.(*corev1.Service); ok && s.Namespace == namespace && s.Name == name {
			ip := gateway.IPAddressType
			return []gateway.GatewayStatusAddress{{Type: &ip, Value: s.Spec.ClusterIP}}
		}
	}
	return nil
}
