package main

import (
	"slices"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/wellknown"
)

// withProviders is an IstioOperator whose providers replace those of the shipped one.
func withProviders(providers string) string {
	return "apiVersion: install.istio.io/v1alpha1\nkind: IstioOperator\nmetadata: {name: more}\nspec: {meshConfig: {extensionProviders: [" + providers + "]}}\n"
}

const (
	good   = `{name: meshpass, envoyExtAuthzGrpc: {service: meshpass.meshpass.svc.cluster.local, port: 9000, timeout: 0.25s, statusOnError: "503"}}`
	second = `{name: second, envoyExtAuthzGrpc: {service: meshpass.meshpass.svc.cluster.local, port: 9000, timeout: 0.25s}}`
)

// customPolicy is a policy that asks about everything.
func customPolicy(name, namespace, selector, provider string) string {
	return "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: " + name + ", namespace: " + namespace + "}\nspec: {selector: {matchLabels: {" + selector +
		"}}, action: CUSTOM, provider: {name: " + provider + "}, rules: [{}]}\n"
}

// TestLintFacts: istiod's output shows the faults that `meshpass lint` finds in a configuration.
func TestLintFacts(t *testing.T) {
	capital := pod{name: "inventory", namespace: "shop", address: "10.98.77.12", labels: map[string]string{"app": "inventory", "meshpass.dev/guarded": "True"}}
	for _, row := range []struct {
		code string
		pod  pod
		more string
		want []string
	}{
		{"", inventory, withProviders(good), []string{asks}},
		{"provider_unknown", inventory, withProviders(second), []string{"DENY"}},
		{"provider_invalid", inventory, withProviders(`{name: meshpass, envoyExtAuthzGrpc: {service: meshpass.meshpass.svc.cluster.local, port: 9000, statusOnError: "999"}}`), []string{"DENY"}},
		{"provider_service_unknown", inventory, withProviders(`{name: meshpass, envoyExtAuthzGrpc: {service: meshpass.meshpass, port: 9000}}`), []string{"DENY"}},
		{"providers_conflict", inventory, withProviders(good+", "+second) + "---\n" + customPolicy("second", "shop", "app: inventory", "second"), []string{"DENY", "DENY"}},
		{"custom_selects_authorizer", meshpass, customPolicy("all", "meshpass", "app: meshpass", "meshpass"), []string{asks, "ALLOW"}},
		{"guarded_without_policy", capital, "", nil},
	} {
		t.Run(row.code, func(t *testing.T) {
			m := loadChains(t, row.more)
			chain := &listener.FilterChain{}
			call := in(8080, simulation.HTTP)
			if row.pod.name == "meshpass" {
				call = in(9000, simulation.HTTP2)
			}
			call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
			simulate(t, row.pod, m).Run(call)
			if got := meets(t, chain, call.Port); !slices.Equal(got, row.want) {
				t.Errorf("it meets %q, want %q", got, row.want)
			}
		})
	}
}

// TestLintTimeout: without a timeout a Check may take 600 s.
func TestLintTimeout(t *testing.T) {
	m := loadChains(t, withProviders(`{name: meshpass, envoyExtAuthzGrpc: {service: meshpass.meshpass.svc.cluster.local, port: 9000, failOpen: true}}`))
	chain := &listener.FilterChain{}
	call := in(8080, simulation.HTTP)
	call.CustomListenerValidations = []simulation.CustomFilterChainValidation{func(c *listener.FilterChain) error { chain = c; return nil }}
	simulate(t, inventory, m).Run(call)
	for _, f := range xdstest.ExtractHTTPConnectionManager(t, chain).GetHttpFilters() {
		if f.GetName() == wellknown.HTTPExternalAuthorization {
			filter := unpack(t, f.GetTypedConfig(), &httpauthz.ExtAuthz{})
			if got := filter.GetGrpcService().GetTimeout().AsDuration().String(); got != "10m0s" || !filter.GetFailureModeAllow() {
				t.Errorf("timeout %s, failure mode allow %t", got, filter.GetFailureModeAllow())
			}
			return
		}
	}
	t.Error("no ext_authz filter")
}
