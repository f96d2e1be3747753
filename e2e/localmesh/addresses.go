package localmesh

import "fmt"

// The parts that are not workloads, by the last octet of their address and their port. The
// addresses of workloads are in cluster/.
const (
	controlPlaneHost, controlPlanePort = 2, 15010
	sdsHost, sdsPort                   = 3, 15012
	opsPort                            = 9090 // of the authorizer
	istiodDebugPort                    = 8080 // as in a cluster
	idpHost, idpPort                   = 4, 9556
	redisHost, redisPort               = 6, 6379
	balancerHost, balancerPort         = 7, 8080
	gatewayHost, pluginMetricsPort     = 10, 9092 // of the tour's gateway, in config/identity.yaml
)

// Ports of every workload.
const (
	inboundPort = 8080 // its Envoy; for the gateway, Tyk itself
	appPort     = 9080 // the service behind it
)

func (m *Mesh) addressOf(host, port int) string {
	return fmt.Sprintf("%s:%d", m.net.Addr(host), port)
}

// OpsURL is the address of the (first) authorizer's ops.
func (m *Mesh) OpsURL() string { return "http://" + m.addressOf(authorizerHost, opsPort) }

// IstiodDebugURL is the address of the (first) live control plane's debug interface.
func (m *Mesh) IstiodDebugURL() string {
	return "http://" + m.addressOf(controlPlaneHost, istiodDebugPort)
}

// GatewayControlURL is the address of the (first) gateway's control API, which also serves /hello.
func (m *Mesh) GatewayControlURL() string { return m.gateways[0].control }

// PluginMetricsURL is the address of the plugin's metrics in the (first) gateway.
func (m *Mesh) PluginMetricsURL() string {
	return "http://" + m.addressOf(gatewayHost, pluginMetricsPort)
}

// EnvoyAdminURL is the address of the admin interface of a workload's Envoy.
func (m *Mesh) EnvoyAdminURL(workload string) string { return m.workloads[workload].AdminURL() }
