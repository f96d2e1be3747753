package localcopy

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strings"
)

// Formats of Envoy's access logs: one JSON object for each request. Times are in microseconds.
var (
	egressLog  = object{"id": "%REQ(X-REQUEST-ID)%", "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "host": "%REQ(:AUTHORITY)%", "us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%"}
	ingressLog = object{
		"id": "%REQ(X-REQUEST-ID)%", "status": "%RESPONSE_CODE%", "flags": "%RESPONSE_FLAGS%", "details": "%RESPONSE_CODE_DETAILS%",
		"us": "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%", "upstream_us": "%COMMON_DURATION(US_TX_BEG:US_RX_END:us)%",
		"authz_us": "%FILTER_STATE(envoy.filters.http.ext_authz:FIELD:latency_us)%",
	}
)

const typePrefix = "type.googleapis.com/envoy.extensions."

// buildEnvoy makes the static configuration of the local Envoy: a substitute for what Istio's control plane writes. One process has the
// parts of two: the listener that the gateway's calls leave through, and the listener of each workload, with mutual TLS between them.
func (c *Copy) buildEnvoy() ([]byte, error) {
	clusters := []any{newCluster("authorizer", c.authorizerAddress(), object{"typed_extension_protocol_options": http2Options})}
	var virtualHosts, listeners []any
	for _, s := range c.services {
		target := "app-" + s.name
		clusters = append(clusters, newCluster(target, s.appAddress, nil))
		if s.Account != "" {
			clusters = append(clusters, newCluster("mesh-"+s.name, s.address, object{"transport_socket": object{
				"name": "envoy.transport_sockets.tls",
				"typed_config": object{
					"@type":              typePrefix + "transport_sockets.tls.v3.UpstreamTlsContext",
					"common_tls_context": c.tlsContext("gateway", c.spiffeOf(s.Account)),
				},
			}}))
			listeners = append(listeners, c.workloadListener(s, target))
			target = "mesh-" + s.name
		}
		to := newRoute(target)
		if host, https := strings.CutSuffix(s.Host, ":443"); https {
			to["route"].(object)["host_rewrite_literal"] = host // as a request by https names it
		}
		virtualHosts = append(virtualHosts, object{"name": s.name, "domains": s.listDomains(), "routes": []any{to}})
	}
	virtualHosts = append(virtualHosts, object{"name": "unknown", "domains": []any{"*"}, "routes": []any{object{
		"match":           object{"prefix": "/"},
		"direct_response": object{"status": 502, "body": object{"inline_string": "this rehearsal has no stand-in for the host\n"}},
	}}})
	egress := c.httpListener("egress", c.egressAddress(), virtualHosts, egressLog, nil)
	config := object{
		"node":             object{"id": "rehearsal", "cluster": "rehearsal"},
		"admin":            object{"address": socketAddress(c.adminAddress())},
		"static_resources": object{"listeners": append([]any{egress}, listeners...), "clusters": clusters},
	}
	return json.MarshalIndent(config, "", "  ")
}

func newRoute(cluster string) object {
	return object{"match": object{"prefix": "/"}, "route": object{"cluster": cluster, "timeout": "60s"}}
}

var http2Options = object{"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": object{
	"@type": typePrefix + "upstreams.http.v3.HttpProtocolOptions", "explicit_http_config": object{"http2_protocol_options": object{}},
}}

func newCluster(name, address string, more object) object {
	all := object{
		"name": name, "type": "STATIC", "connect_timeout": "5s",
		"load_assignment": object{"cluster_name": name, "endpoints": []any{object{"lb_endpoints": []any{object{"endpoint": object{"address": socketAddress(address)}}}}}},
	}
	for key, value := range more {
		all[key] = value
	}
	return all
}

func socketAddress(address string) object {
	host, port, _ := net.SplitHostPort(address) // always one of [Copy]
	return object{"socket_address": object{"address": host, "port_value": json.Number(port)}}
}

// tlsContext is the identity of one side, and the one that the other side must have; empty: any of the mesh.
func (c *Copy) tlsContext(own, peer string) object {
	prefix := object{"prefix": "spiffe://" + c.trustDomain + "/"}
	if peer != "" {
		prefix = object{"exact": peer}
	}
	return object{
		"tls_certificates": []any{object{
			"certificate_chain": object{"filename": filepath.Join(c.dir, own+".crt")},
			"private_key":       object{"filename": filepath.Join(c.dir, own+".key")},
		}},
		"validation_context": object{
			"trusted_ca":                    object{"filename": filepath.Join(c.dir, "roots.crt")},
			"match_typed_subject_alt_names": []any{object{"san_type": "URI", "matcher": prefix}},
		},
	}
}

// workloadListener is that of a workload's sidecar: mutual TLS, the authorizer, and the service behind it.
func (c *Copy) workloadListener(s *service, target string) object {
	authorize := object{
		"name": "envoy.filters.http.ext_authz",
		"typed_config": object{
			"@type":                   typePrefix + "filters.http.ext_authz.v3.ExtAuthz",
			"transport_api_version":   "V3",
			"grpc_service":            object{"envoy_grpc": object{"cluster_name": "authorizer"}, "timeout": "2s"},
			"failure_mode_allow":      false,
			"status_on_error":         object{"code": "ServiceUnavailable"},
			"emit_filter_state_stats": true,
		},
	}
	hosts := []any{object{"name": s.name, "domains": []any{"*"}, "routes": []any{newRoute(target)}}}
	listener := c.httpListener("workload-"+s.name, s.address, hosts, ingressLog, []any{authorize})
	chain := listener["filter_chains"].([]any)[0].(object)
	chain["transport_socket"] = object{
		"name": "envoy.transport_sockets.tls",
		"typed_config": object{
			"@type":                      typePrefix + "transport_sockets.tls.v3.DownstreamTlsContext",
			"require_client_certificate": true,
			"common_tls_context":         c.tlsContext(s.name, ""),
		},
	}
	return listener
}

func (c *Copy) httpListener(name, address string, virtualHosts []any, format object, filters []any) object {
	filters = append(filters, object{"name": "envoy.filters.http.router", "typed_config": object{"@type": typePrefix + "filters.http.router.v3.Router"}})
	manager := object{
		"@type": typePrefix + "filters.network.http_connection_manager.v3.HttpConnectionManager", "stat_prefix": name,
		"preserve_external_request_id": true, "generate_request_id": false, "use_remote_address": false,
		"normalize_path": true, // as Istio's default, BASE
		"route_config":   object{"name": name, "virtual_hosts": virtualHosts},
		"http_filters":   filters,
		"access_log": []any{object{
			"name": "envoy.access_loggers.file",
			"typed_config": object{
				"@type": typePrefix + "access_loggers.file.v3.FileAccessLog", "path": filepath.Join(c.dir, accessLogName(name)),
				"log_format": object{"json_format": format},
			},
		}},
	}
	return object{
		"name": name, "address": socketAddress(address),
		"filter_chains": []any{object{"filters": []any{object{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}}}},
	}
}

func accessLogName(listener string) string {
	if strings.HasPrefix(listener, "workload-") {
		listener = "workloads"
	}
	return fmt.Sprintf("%s.access.log", listener)
}
