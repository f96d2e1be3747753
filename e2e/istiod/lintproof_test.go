//go:build lintproof

package main

import (
	"slices"
	"strings"
	"testing"

	envoycluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/wellknown"
)

// manifest is an object of Istio in one line.
func manifest(version, kind, name, namespace, spec string) string {
	return "apiVersion: " + version + "\nkind: " + kind + "\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: " + spec + "\n"
}

const (
	securityV1   = "security.istio.io/v1"
	networkingV1 = "networking.istio.io/v1"
	telemetryV1  = "telemetry.istio.io/v1"
)

// withMesh is a setting of the mesh.
func withMesh(setting string) string {
	return "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: more}\nspec: {meshConfig: {" + setting + "}}\n"
}

// peer is a PeerAuthentication of the namespace, with the time of its creation.
func peer(name, created, mode string) string {
	return "apiVersion: " + securityV1 + "\nkind: PeerAuthentication\nmetadata: {name: " + name + ", namespace: shop, creationTimestamp: " + created + "}\nspec: {mtls: {mode: " + mode + "}}\n"
}

// httpProvider is a provider that asks in HTTP.
const httpProvider = `{name: meshpass, envoyExtAuthzHttp: {service: meshpass.meshpass.svc.cluster.local, port: 9000, timeout: 0.25s}}`

// TestLintChains: istiod's output shows the faults that `meshpass lint` finds in more configurations.
func TestLintChains(t *testing.T) {
	waypoint := pod{name: "waypoint", namespace: "shop", address: "10.98.77.20", labels: map[string]string{"gateway.networking.k8s.io/gateway-name": "waypoint"}, kind: model.Waypoint}
	unnamed := "apiVersion: v1\nkind: Service\nmetadata: {name: unnamed, namespace: shop}\nspec: {clusterIP: 10.96.0.99, selector: {app: inventory}, ports: [{name: web, port: 8099, targetPort: 8099, protocol: TCP}]}\n"
	for _, row := range []struct {
		code    string
		pod     pod
		folders []string
		more    string
		call    simulation.Call
		want    []string
	}{
		{"port_without_check", reports, nil, manifest(securityV1, "AuthorizationPolicy", "ports", "shop",
			`{selector: {matchLabels: {app: reports}}, action: CUSTOM, provider: {name: meshpass}, rules: [{to: [{operation: {ports: ["8081"]}}]}]}`), in(8080, simulation.HTTP), nil},
		{"port_protocol_unknown", inventory, nil, unnamed, in(8099, simulation.TCP), []string{asks}},
		{"port_protocol_unknown, HTTP", inventory, nil, unnamed, in(8099, simulation.HTTP), []string{asks}},
		{"peer_authentication_conflict, the older one is permissive", inventory, []string{permissive},
			peer("first", `"2026-01-01T00:00:00Z"`, "PERMISSIVE") + "---\n" + peer("second", `"2026-02-01T00:00:00Z"`, "STRICT"), plaintext(8080), []string{asks}},
		{"ambient_selector", waypoint, nil, customPolicy("by-label", "shop", "gateway.networking.k8s.io/gateway-name: waypoint", "meshpass"), in(8080, simulation.HTTP), nil},
	} {
		t.Run(row.code, func(t *testing.T) {
			m := loadChains(t, row.more, row.folders...)
			chain := &listener.FilterChain{}
			row.call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
			simulate(t, row.pod, m).Run(row.call)
			if got := meets(t, chain, row.call.Port); !slices.Equal(got, row.want) {
				t.Errorf("it meets %q, want %q", got, row.want)
			}
		})
	}
}

// TestLintCapture: a Sidecar with captureMode: NONE takes a port out of interception, as `meshpass lint` finds.
func TestLintCapture(t *testing.T) {
	t.Run("sidecar_ingress_not_captured", func(t *testing.T) {
		s := simulate(t, inventory, loadChains(t, manifest(networkingV1, "Sidecar", "s", "shop",
			`{workloadSelector: {labels: {app: inventory}}, ingress: [{port: {number: 8080, protocol: HTTP, name: http}, captureMode: NONE, defaultEndpoint: "127.0.0.1:8081"}]}`)))
		if got := s.Run(in(8080, simulation.HTTP)).ClusterMatched; got != "InboundPassthroughCluster" {
			t.Errorf("intercepted requests go to %s", got)
		}
		own := xdstest.ExtractListener(inventory.address+"_8080", s.Listeners)
		if own == nil || own.GetBindToPort() != nil && !own.GetBindToPort().GetValue() {
			t.Fatal("Envoy does not listen on the port")
		}
		for _, chain := range own.GetFilterChains() {
			if got := chain.GetFilterChainMatch().GetTransportProtocol(); got != "tls" {
				t.Errorf("Envoy accepts %q there", got)
			}
		}
	})
	for mode, want := range map[string]string{"NONE": "PassthroughCluster", "IPTABLES": "outbound|8080||inventory.shop.svc.cluster.local"} {
		t.Run("callee_not_visible, "+mode, func(t *testing.T) {
			call := out(8080, "inventory.shop.svc.cluster.local")
			call.Address = "10.96.0.12"
			bind := "bind: 127.0.0.1, "
			if mode != "NONE" {
				bind = ""
			}
			s := simulate(t, reports, loadChains(t, manifest(networkingV1, "Sidecar", "s", "shop",
				`{workloadSelector: {labels: {app: reports}}, egress: [{port: {number: 8080, protocol: HTTP, name: http}, `+bind+`captureMode: `+mode+`, hosts: ["shop/*"]}, {hosts: ["istio-system/*", "meshpass/*"]}]}`)))
			if got := s.Run(call).ClusterMatched; got != want {
				t.Errorf("requests go to %s, want %s", got, want)
			}
		})
	}
}

// managerOf is the HTTP connection manager of the workload's port.
func managerOf(t *testing.T, m *manifests) *hcm.HttpConnectionManager {
	t.Helper()
	return managerAt(t, m, inventory, in(8080, simulation.HTTP))
}

// managerAt is the HTTP connection manager that a call to a pod meets.
func managerAt(t *testing.T, m *manifests, p pod, call simulation.Call) *hcm.HttpConnectionManager {
	t.Helper()
	chain := &listener.FilterChain{}
	call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
	simulate(t, p, m).Run(call)
	manager := xdstest.ExtractHTTPConnectionManager(t, chain)
	if manager == nil {
		t.Fatal("no HTTP connection manager")
	}
	return manager
}

func authzOf(t *testing.T, manager *hcm.HttpConnectionManager) *httpauthz.ExtAuthz {
	t.Helper()
	for _, f := range manager.GetHttpFilters() {
		if f.GetName() == wellknown.HTTPExternalAuthorization {
			return unpack(t, f.GetTypedConfig(), &httpauthz.ExtAuthz{})
		}
	}
	t.Fatal("no ext_authz filter")
	return nil
}

const (
	tracer     = `extensionProviders: [` + good + `, {name: otel, opentelemetry: {service: orders.shop.svc.cluster.local, port: 8080}}]`
	withTracer = `{tracing: [{providers: [{name: otel}]`
)

// TestLintSettings: istiod's output shows the faults that `meshpass lint` finds in settings of providers and of tracing.
func TestLintSettings(t *testing.T) {
	t.Run("provider_http", func(t *testing.T) {
		filter := authzOf(t, managerOf(t, loadChains(t, withProviders(httpProvider))))
		if filter.GetHttpService() == nil || filter.GetGrpcService() != nil {
			t.Errorf("got %v", filter)
		}
	})
	t.Run("provider_duplicate", func(t *testing.T) {
		open := strings.Replace(strings.Replace(second, "name: second", "name: meshpass", 1), "port: 9000", "port: 9000, failOpen: true", 1)
		for i, providers := range []string{good + ", " + open, open + ", " + good} {
			filter := authzOf(t, managerOf(t, loadChains(t, withProviders(providers))))
			if got := filter.GetFailureModeAllow(); got != (i == 0) {
				t.Errorf("order %d: failOpen is %t, want that of the last provider", i, got)
			}
		}
	})
	t.Run("provider_setting_ignored", func(t *testing.T) {
		filter := authzOf(t, managerOf(t, loadChains(t, withProviders(strings.Replace(good, "port: 9000", "port: 9000, clearRouteCache: true", 1)))))
		if filter.GetClearRouteCache() {
			t.Error("istiod passes clearRouteCache on")
		}
	})
	t.Run("tracing_sampling", func(t *testing.T) {
		manager := managerOf(t, loadChains(t, withMesh(tracer)+"---\n"+manifest(telemetryV1, "Telemetry", "tracing", "istio-system", withTracer+`}]}`)))
		if got := manager.GetTracing().GetRandomSampling().GetValue(); got != 1 {
			t.Errorf("%v per cent of all traces, want Istio's default of 1", got)
		}
	})
	t.Run("tracing_sampling, defaultProviders", func(t *testing.T) {
		manager := managerOf(t, loadChains(t, withMesh(tracer+`, defaultProviders: {tracing: [otel]}`)))
		if got := manager.GetTracing().GetRandomSampling().GetValue(); got != 1 {
			t.Errorf("%v per cent of all traces, want Istio's default of 1", got)
		}
	})
	for name, known := range map[string]bool{"otel": true, "OTel": true, "otell": false, "meshpass": false} {
		t.Run("tracing_provider_unknown "+name, func(t *testing.T) {
			spec := `{tracing: [{providers: [{name: ` + name + `}], randomSamplingPercentage: 100}]}`
			manager := managerOf(t, loadChains(t, withMesh(tracer)+"---\n"+manifest(telemetryV1, "Telemetry", "tracing", "istio-system", spec)))
			if got := manager.GetTracing() != nil; got != known {
				t.Errorf("the proxy has tracing: %t, want %t", got, known)
			}
		})
	}
	for _, row := range []struct{ code, more string }{
		{"provider_not_visible, egress of a Sidecar", manifest(networkingV1, "Sidecar", "default", "shop", `{egress: [{hosts: ["./*", "istio-system/*"]}]}`)},
		{"provider_not_visible, defaultServiceExportTo", withMesh(`defaultServiceExportTo: ["."]`)},
	} {
		t.Run(row.code, func(t *testing.T) {
			for _, c := range simulate(t, inventory, loadChains(t, row.more)).Clusters {
				if strings.Contains(c.GetName(), "meshpass.meshpass") {
					t.Errorf("the proxy has the cluster %s", c.GetName())
				}
			}
		})
	}
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: other, namespace: meshpass}\nspec: {selector: {app: meshpass}, ports: [{name: grpc, port: 9000}], "
	for _, row := range []struct{ code, spec, want string }{
		{"headless", "clusterIP: None", "ORIGINAL_DST"}, {"ExternalName", "type: ExternalName, externalName: authorizer.example", ""}, {"with an address", "clusterIP: 10.96.0.98", "EDS"},
	} {
		t.Run("provider_service_headless, "+row.code, func(t *testing.T) {
			got := ""
			for _, c := range simulate(t, inventory, loadChains(t, service+row.spec+"}\n")).Clusters {
				if c.GetName() == "outbound|9000||other.meshpass.svc.cluster.local" {
					got = c.GetType().String()
				}
			}
			if got != row.want {
				t.Errorf("the proxy has a cluster of type %q, want %q", got, row.want)
			}
		})
	}
	passthrough := manifest(networkingV1, "DestinationRule", "checks", "istio-system", `{host: meshpass.meshpass.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: PASSTHROUGH}PORT}}`)
	portLevel := func(settings string) string {
		return strings.Replace(passthrough, "PORT", ", portLevelSettings: [{port: {number: 9000}, "+settings+"}]", 1)
	}
	entry := manifest(networkingV1, "ServiceEntry", "checks", "istio-system", `{hosts: [checks.example], ports: [{number: 9000, name: grpc, protocol: GRPC}], location: MESH_INTERNAL}`)
	for _, row := range []struct{ code, more, host, want string }{
		{"PASSTHROUGH", strings.Replace(passthrough, "PORT", "", 1), "meshpass.meshpass.svc.cluster.local", "ORIGINAL_DST"},
		{"PASSTHROUGH, and settings of the port", portLevel("connectionPool: {tcp: {connectTimeout: 1s}}"), "meshpass.meshpass.svc.cluster.local", "EDS"},
		{"ServiceEntry", entry, "checks.example", "ORIGINAL_DST"},
	} {
		t.Run("provider_service_headless, "+row.code, func(t *testing.T) {
			got := ""
			for _, c := range simulate(t, inventory, loadChains(t, row.more)).Clusters {
				if c.GetName() == "outbound|9000||"+row.host {
					got = c.GetType().String()
				}
			}
			if got != row.want {
				t.Errorf("the proxy has a cluster of type %q, want %q", got, row.want)
			}
		})
	}
	t.Run("client_plaintext, enableAutoMtls", func(t *testing.T) {
		for _, c := range simulate(t, reports, loadChains(t, withMesh("enableAutoMtls: false"))).Clusters {
			if c.GetName() == "outbound|8080||inventory.shop.svc.cluster.local" && (c.GetTransportSocket() != nil || len(c.GetTransportSocketMatches()) > 0) {
				t.Error("callers send TLS")
			}
		}
	})
}

// TestLintReach: settings change who reaches a workload, and by which name, as `meshpass lint` finds.
func TestLintReach(t *testing.T) {
	for mode, want := range map[string]hcm.HttpConnectionManager_ForwardClientCertDetails{
		"ALWAYS_FORWARD_ONLY": hcm.HttpConnectionManager_ALWAYS_FORWARD_ONLY, "SANITIZE": hcm.HttpConnectionManager_SANITIZE, "": hcm.HttpConnectionManager_APPEND_FORWARD,
	} {
		t.Run("client_name_forwarded "+mode, func(t *testing.T) {
			more := ""
			if mode != "" {
				more = withMesh("defaultConfig: {proxyHeaders: {forwardedClientCert: " + mode + "}}")
			}
			if got := managerAt(t, loadChains(t, more), meshpass, in(9000, simulation.HTTP2)).GetForwardClientCertDetails(); got != want {
				t.Errorf("the sidecar of the authorizer has %s, want %s", got, want)
			}
		})
	}
	const full = "inventory.shop.svc.cluster.local"
	const cluster = "outbound|8080||" + full
	for code, row := range map[string]struct {
		more string
		want bool
	}{
		"no fault":                            {"", true},
		"callee_not_visible, egress":          {manifest(networkingV1, "Sidecar", "default", "shop", `{workloadSelector: {labels: {app: reports}}, egress: [{hosts: ["istio-system/*", "meshpass/*"]}]}`), false},
		"callee_not_visible, another Sidecar": {manifest(networkingV1, "Sidecar", "default", "shop", `{workloadSelector: {labels: {app: inventory}}, egress: [{hosts: ["istio-system/*", "meshpass/*"]}]}`), true},
	} {
		t.Run(code, func(t *testing.T) {
			found := slices.ContainsFunc(simulate(t, reports, loadChains(t, row.more)).Clusters, func(c *envoycluster.Cluster) bool { return c.GetName() == cluster })
			if found != row.want {
				t.Errorf("the proxy of reports has the cluster %s: %t, want %t", cluster, found, row.want)
			}
		})
	}
	for host, found := range map[string]bool{full: true, "inventory.shop": false, "inventry.shop.svc.cluster.local": false, full + ", subset: v2": false, full + ", port: {number: 80}": false} {
		t.Run("route_destination_unknown "+host, func(t *testing.T) {
			s := simulate(t, reports, loadChains(t, manifest(networkingV1, "VirtualService", "v", "shop", `{hosts: [`+full+`], http: [{route: [{destination: {host: `+host+`}}]}]}`)))
			var routed []string
			for _, config := range s.Routes {
				for _, virtual := range config.GetVirtualHosts() {
					if !strings.HasPrefix(virtual.GetName(), full+":8080") {
						continue
					}
					for _, r := range virtual.GetRoutes() {
						routed = append(routed, r.GetRoute().GetCluster())
					}
				}
			}
			if len(routed) == 0 {
				t.Fatal("no route")
			}
			exists := slices.ContainsFunc(s.Clusters, func(c *envoycluster.Cluster) bool { return c.GetName() == routed[0] })
			if exists != found {
				t.Errorf("the route leads to %q: it exists: %t, want %t", routed[0], exists, found)
			}
		})
	}
	t.Run("caller_not_admitted", func(t *testing.T) {
		chain := &listener.FilterChain{}
		call := in(8080, simulation.HTTP)
		call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
		simulate(t, inventory, loadChains(t, manifest(securityV1, "AuthorizationPolicy", "nothing", "shop", `{}`))).Run(call)
		if got, want := meets(t, chain, 8080), []string{asks, "ALLOW of none"}; !slices.Equal(got, want) {
			t.Errorf("it meets %q, want %q", got, want)
		}
	})
}

// TestLintRejected: the schema of the API server, or the webhook of istiod, rejects the objects that `meshpass lint` finds faults in.
func TestLintRejected(t *testing.T) {
	for code, text := range map[string]string{
		"custom_dry_run":     "apiVersion: " + securityV1 + "\nkind: AuthorizationPolicy\nmetadata: {name: p, annotations: {istio.io/dry-run: \"true\"}}\nspec: {action: CUSTOM, provider: {name: meshpass}, rules: [{}]}\n",
		"custom_invalid":     "apiVersion: " + securityV1 + "\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {action: CUSTOM, provider: {name: meshpass}, rules: [{from: [{source: {namespaces: [a]}}]}]}\n",
		"target_ref_unknown": "apiVersion: " + securityV1 + "\nkind: AuthorizationPolicy\nmetadata: {name: p}\nspec: {targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}], action: CUSTOM, provider: {name: meshpass}, rules: [{}]}\n",
		"field_unknown":      "apiVersion: " + securityV1 + "\nkind: PeerAuthentication\nmetadata: {name: p}\nspec: {mtls: {mod: STRICT}}\n",
	} {
		t.Run(code, func(t *testing.T) {
			m := &manifests{}
			err := m.add([]byte(text))
			if err == nil {
				t.Error("it is accepted")
			}
		})
	}
}
