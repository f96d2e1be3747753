package main

import (
	"path/filepath"
	"slices"
	"testing"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbac "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	httpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	httprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/rbac/v3"
	tcpauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/ext_authz/v3"
	tcprbac "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/rbac/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/simulation"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pilot/test/xdstest"
	"istio.io/istio/pkg/wellknown"
)

// pod is a workload whose Envoy is looked at.
type pod struct {
	name, namespace, address string
	labels                   map[string]string
	kind                     model.NodeType // empty: a sidecar
}

// permissive, in place of a folder, leaves out manifests/istio/strict.
const permissive = "permissive"

// simulator has Istio build what a pod's Envoy gets for our manifests, some folders of them among
// them, and the cluster in testdata/chains.
func simulator(t *testing.T, p pod, folders ...string) *simulation.Simulation {
	t.Helper()
	return simulate(t, p, loadChains(t, "", folders...))
}

// loadChains reads the manifests of a simulation, and more objects.
func loadChains(t *testing.T, more string, folders ...string) *manifests {
	t.Helper()
	istio := filepath.Join(shipped, "istio")
	s := source{mesh: filepath.Join(istio, "install.yaml"), dirs: []string{istio, filepath.Join("testdata", "chains")}}
	if !slices.Contains(folders, permissive) {
		folders = append(slices.Clone(folders), "strict")
	}
	for _, folder := range folders {
		if folder != permissive {
			s.dirs = append(s.dirs, filepath.Join(istio, folder))
		}
	}
	files, err := s.load()
	if err != nil {
		t.Fatal(err)
	}
	callers, err := readAll([]string{filepath.Join(shipped, "overlays", "dev", "callers.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, callers...)
	if more != "" {
		files = append(files, file{path: "more.yaml", data: []byte(more)})
	}
	m, err := parse(files)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func simulate(t *testing.T, p pod, m *manifests) *simulation.Simulation {
	t.Helper()
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{MeshConfig: m.mesh, KubernetesObjects: m.objects, Configs: m.configs, DisableSecretAuthorization: true})
	return simulation.NewSimulation(t, server, server.SetupProxy(&model.Proxy{
		Type: p.kind, ID: p.name + "." + p.namespace, ConfigNamespace: p.namespace, IPAddresses: []string{p.address}, Labels: p.labels,
		Metadata: &model.NodeMetadata{Namespace: p.namespace, Labels: p.labels, ClusterID: "Kubernetes"},
	}))
}

// meets lists what of a chain's filters takes a hand in a call to a port: "asks CLUSTER", "DENY" and
// "ALLOW" where a rule matches, "ALLOW of none" where rules are there and none does, "egress".
func meets(t *testing.T, chain *listener.FilterChain, port int) []string {
	t.Helper()
	v := visit{t: t, port: uint32(port)}
	for _, f := range chain.GetFilters() {
		v.filter(f.GetName(), f.GetTypedConfig())
	}
	if manager := xdstest.ExtractHTTPConnectionManager(t, chain); manager != nil {
		for _, f := range manager.GetHttpFilters() {
			v.filter(f.GetName(), f.GetTypedConfig())
		}
	}
	return v.met
}

type visit struct {
	t     *testing.T
	port  uint32
	asked bool // by the RBAC filter before, which only marks what ext_authz then asks about
	met   []string
}

func (v *visit) filter(name string, config *anypb.Any) {
	switch name {
	case wellknown.HTTPRoleBasedAccessControl:
		f := unpack(v.t, config, &httprbac.RBAC{})
		v.rbac(f.GetRules(), f.GetShadowRules())
	case wellknown.RoleBasedAccessControl:
		f := unpack(v.t, config, &tcprbac.RBAC{})
		v.rbac(f.GetRules(), f.GetShadowRules())
	case wellknown.HTTPExternalAuthorization:
		v.asks(unpack(v.t, config, &httpauthz.ExtAuthz{}).GetGrpcService().GetEnvoyGrpc().GetClusterName())
	case wellknown.ExternalAuthorization:
		v.asks(unpack(v.t, config, &tcpauthz.ExtAuthz{}).GetGrpcService().GetEnvoyGrpc().GetClusterName())
	case "meshpass.egress":
		v.met = append(v.met, "egress")
	}
}

func (v *visit) asks(cluster string) {
	if v.asked {
		v.met = append(v.met, "asks "+cluster)
	}
}

func (v *visit) rbac(rules, shadow *rbac.RBAC) {
	if shadow != nil {
		v.asked = v.matches(shadow)
		return
	}
	switch matched := v.matches(rules); {
	case matched:
		v.met = append(v.met, rules.GetAction().String())
	case rules.GetAction() == rbac.RBAC_ALLOW:
		v.met = append(v.met, "ALLOW of none")
	}
}

func (v *visit) matches(rules *rbac.RBAC) bool {
	for _, policy := range rules.GetPolicies() {
		for _, permission := range policy.GetPermissions() {
			if v.permits(permission) {
				return true
			}
		}
	}
	return false
}

// permits compares ports alone, and assumes that the caller meets all other conditions of a rule.
func (v *visit) permits(p *rbac.Permission) bool {
	switch rule := p.GetRule().(type) {
	case *rbac.Permission_AndRules:
		for _, r := range rule.AndRules.GetRules() {
			if !v.permits(r) {
				return false
			}
		}
		return true
	case *rbac.Permission_OrRules:
		for _, r := range rule.OrRules.GetRules() {
			if v.permits(r) {
				return true
			}
		}
		return false
	case *rbac.Permission_NotRule:
		return !v.permits(rule.NotRule)
	case *rbac.Permission_DestinationPort:
		return rule.DestinationPort == v.port
	}
	return true
}

func unpack[M proto.Message](t *testing.T, config *anypb.Any, m M) M {
	t.Helper()
	if err := config.UnmarshalTo(m); err != nil {
		t.Fatal(err)
	}
	return m
}
