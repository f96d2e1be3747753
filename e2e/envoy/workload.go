package envoy

import (
	"cmp"
	"fmt"
)

// Types of an Envoy, as Istio names them.
const (
	Sidecar  = "sidecar"
	Router   = "router" // a gateway
	Waypoint = "waypoint"
)

// Workload is one pod with its Envoy.
type Workload struct {
	Type           string // of its Envoy; empty: Sidecar
	Name           string // of the pod and of its program, such as "orders"
	TrustDomain    string // empty: cluster.local
	Namespace      string
	ServiceAccount string
	Address        string // IPv4; the sidecar's listeners, its admin port and the program share it
	Labels         map[string]string
	Annotations    map[string]string
	Ambient        bool // its requests, in both directions, go through tunnels as with ztunnel
	Intercepted    bool // iptables directs connections to the Envoy; otherwise its clients use its address
}

// SPIFFE is the workload's identity.
func (w Workload) SPIFFE() string {
	return fmt.Sprintf("spiffe://%s/ns/%s/sa/%s", cmp.Or(w.TrustDomain, "cluster.local"), w.Namespace, w.ServiceAccount)
}

// ProxyURL is the URL through which the workload's program reaches the mesh: the HTTP_PROXY
// listener of its Envoy, or the stand-in for its ztunnel.
func (w Workload) ProxyURL() string { return fmt.Sprintf("http://%s:15080", w.Address) }

// AdminURL is the base URL of the Envoy's admin interface.
func (w Workload) AdminURL() string { return fmt.Sprintf("http://%s:%d", w.Address, adminPort) }

// ID is the node's id in Istio's form: type~address~pod.namespace~domain.
func (w Workload) ID() string {
	kind := cmp.Or(w.Type, Sidecar)
	return fmt.Sprintf("%s~%s~%s.%s~%s.svc.cluster.local", kind, w.Address, w.Name, w.Namespace, w.Namespace)
}

// InterceptionMode is Istio's INTERCEPTION_MODE.
func (w Workload) InterceptionMode() string {
	if w.Intercepted {
		return "REDIRECT"
	}
	return "NONE"
}
