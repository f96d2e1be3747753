package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	security "istio.io/api/security/v1beta1"
	securityv1 "istio.io/client-go/pkg/apis/security/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/istiod/kustomize"
)

// rootNamespace is Istio's: there, a selector reaches the workloads of all namespaces.
const rootNamespace = "istio-system"

// objects are those of all folders of manifests, built, by kind.
type objects struct {
	policies    []*securityv1.AuthorizationPolicy
	peers       []*securityv1.PeerAuthentication
	networks    []networking.NetworkPolicy
	services    []core.Service
	deployments []apps.Deployment
}

func allObjects(t *testing.T) (all objects) {
	t.Helper()
	dirs, err := kustomize.Find(shipped)
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		built, err := kustomize.Build(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range built {
			all.add(t, o)
		}
	}
	return all
}

func (all *objects) add(t *testing.T, o kustomize.Object) {
	t.Helper()
	var kind struct{ Kind string }
	unmarshal(t, o, &kind)
	switch kind.Kind {
	case "AuthorizationPolicy":
		all.policies = append(all.policies, unmarshal(t, o, &securityv1.AuthorizationPolicy{}))
	case "PeerAuthentication":
		all.peers = append(all.peers, unmarshal(t, o, &securityv1.PeerAuthentication{}))
	case "NetworkPolicy":
		all.networks = append(all.networks, *unmarshal(t, o, &networking.NetworkPolicy{}))
	case "Service":
		all.services = append(all.services, *unmarshal(t, o, &core.Service{}))
	case "Deployment":
		all.deployments = append(all.deployments, *unmarshal(t, o, &apps.Deployment{}))
	}
}

func unmarshal[T any](t *testing.T, o kustomize.Object, into *T) *T {
	t.Helper()
	if err := yaml.Unmarshal(o.YAML, into); err != nil {
		t.Fatalf("%s: %v", o.File, err)
	}
	return into
}

// pods are all that have at least these labels, in a namespace; "": in any.
type pods struct {
	namespace string
	labels    labels.Set
}

// selectedBy are the pods of which a policy has Meshpass asked. The pods of a gateway of Kubernetes'
// Gateway API have its name in a label.
func selectedBy(p *securityv1.AuthorizationPolicy) (all []pods) {
	namespace := p.Namespace
	if selector := p.Spec.GetSelector(); selector != nil {
		if namespace == rootNamespace {
			namespace = ""
		}
		all = append(all, pods{namespace, selector.GetMatchLabels()})
	}
	for _, target := range p.Spec.GetTargetRefs() {
		all = append(all, pods{namespace, labels.Set{"gateway.networking.k8s.io/gateway-name": target.GetName()}})
	}
	return all
}

// admits reports that a policy lets all these pods, as senders, reach a port of the pods to.
func admits(t *testing.T, n *networking.NetworkPolicy, from pods, to pods, port core.ContainerPort) bool {
	t.Helper()
	if n.Namespace != to.namespace || !covers(t, &n.Spec.PodSelector, to.labels) {
		return false
	}
	for _, rule := range n.Spec.Ingress {
		ports := len(rule.Ports) == 0 || slices.ContainsFunc(rule.Ports, func(p networking.NetworkPolicyPort) bool {
			return p.Port == nil || p.Port.StrVal != "" && p.Port.StrVal == port.Name || p.Port.IntVal == port.ContainerPort
		})
		sender := len(rule.From) == 0 || slices.ContainsFunc(rule.From, func(peer networking.NetworkPolicyPeer) bool {
			namespace := from.namespace == n.Namespace
			if peer.NamespaceSelector != nil {
				of := labels.Set{}
				if from.namespace != "" {
					of["kubernetes.io/metadata.name"] = from.namespace
				}
				namespace = covers(t, peer.NamespaceSelector, of)
			}
			return peer.IPBlock == nil && namespace && (peer.PodSelector == nil || covers(t, peer.PodSelector, from.labels))
		})
		if ports && sender {
			return true
		}
	}
	return false
}

// covers reports that a selector selects whatever has at least these labels.
func covers(t *testing.T, selector *v1.LabelSelector, has labels.Set) bool {
	t.Helper()
	s, err := v1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	requirements, _ := s.Requirements()
	for _, r := range requirements {
		if r.Operator() == selection.NotIn || r.Operator() == selection.DoesNotExist { // a further label may matter
			return false
		}
	}
	return s.Matches(has)
}

// listenerOf is where a provider of install.yaml is reached.
func listenerOf(t *testing.T, all objects, provider string) (at pods, port core.ContainerPort) {
	t.Helper()
	files, err := readAll([]string{filepath.Join(shipped, "istio", "install.yaml")})
	if err != nil {
		t.Fatal(err)
	}
	m, err := parse(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.mesh.ExtensionProviders {
		grpc := p.GetEnvoyExtAuthzGrpc()
		if p.Name != provider || grpc == nil {
			continue
		}
		for _, s := range all.services {
			if s.Name+"."+s.Namespace+".svc.cluster.local" != grpc.GetService() {
				continue
			}
			for _, service := range s.Spec.Ports {
				if service.Port == int32(grpc.GetPort()) {
					return pods{s.Namespace, s.Spec.Selector}, containerPort(all, service)
				}
			}
		}
	}
	t.Fatalf("no Service is behind the provider %q", provider)
	return at, port
}

// containerPort is the pod's port behind a Service's; one that no container declares has no name.
func containerPort(all objects, s core.ServicePort) core.ContainerPort {
	for _, d := range all.deployments {
		for _, c := range d.Spec.Template.Spec.Containers {
			for _, p := range c.Ports {
				if s.TargetPort.StrVal != "" && s.TargetPort.StrVal == p.Name || s.TargetPort.IntVal == p.ContainerPort {
					return p
				}
			}
		}
	}
	return core.ContainerPort{ContainerPort: s.TargetPort.IntVal}
}

// Where NetworkPolicy is enforced, a pod that Meshpass is asked about and that cannot reach it gets 503
// for every request, or with an open provider is let in undecided, for ever.
func TestEveryGuardedPodReachesTheAuthorizer(t *testing.T) {
	all, tried := allObjects(t), map[string]bool{}
	for _, p := range all.policies {
		if p.Spec.GetAction() != security.AuthorizationPolicy_CUSTOM {
			continue
		}
		authorizer, port := listenerOf(t, all, p.Spec.GetProvider().GetName())
		for _, from := range selectedBy(p) {
			tried[p.Name] = true
			if !slices.ContainsFunc(all.networks, func(n networking.NetworkPolicy) bool { return admits(t, &n, from, authorizer, port) }) {
				t.Errorf("AuthorizationPolicy %s/%s has Meshpass asked about pods %v of namespace %q: no NetworkPolicy lets them reach port %d",
					p.Namespace, p.Name, from.labels, from.namespace, port.ContainerPort)
			}
		}
	}
	for _, name := range []string{"meshpass", "meshpass-open", "meshpass-observe", "meshpass-orders", "meshpass-ingress"} {
		if !tried[name] {
			t.Errorf("no CUSTOM policy is called %s", name)
		}
	}
}

// Who is none of them is admitted nowhere, and monitoring to metrics alone.
func TestNobodyElseReachesWhatIsClosed(t *testing.T) {
	all := allObjects(t)
	port := func(namespace, deployment, name string) (pods, core.ContainerPort) {
		for _, d := range all.deployments {
			for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
				if d.Namespace == namespace && d.Name == deployment && p.Name == name {
					return pods{namespace, d.Spec.Template.Labels}, p
				}
			}
		}
		t.Fatalf("no port %s of %s", name, deployment)
		return pods{}, core.ContainerPort{}
	}
	stranger := pods{"", labels.Set{"app": "stranger", "meshpass.dev/monitoring": "true"}}
	gateway := pods{"edge", labels.Set{"app": "tyk-gateway"}}
	for _, row := range []struct {
		namespace, deployment, port string
		from                        pods
		admitted                    bool
	}{
		{"meshpass", "meshpass", "grpc", stranger, false},
		{"meshpass", "meshpass", "http-ops", stranger, false},
		{"meshpass", "meshpass", "http-ops", pods{"shop", labels.Set{"meshpass.dev/guarded": "true"}}, false},
		{"edge", "tyk-gateway", "http", stranger, true},
		{"edge", "tyk-gateway", "control", stranger, false},
		{"edge", "tyk-gateway", "control", gateway, false},
		{"edge", "redis", "tcp-redis", stranger, false},
		{"edge", "redis", "tcp-redis", pods{"shop", labels.Set{"app": "tyk-gateway"}}, false},
		{"edge", "redis", "tcp-redis", gateway, true},
	} {
		to, p := port(row.namespace, row.deployment, row.port)
		restricted := slices.ContainsFunc(all.networks, func(n networking.NetworkPolicy) bool {
			return n.Namespace == to.namespace && covers(t, &n.Spec.PodSelector, to.labels) && slices.Contains(n.Spec.PolicyTypes, networking.PolicyTypeIngress)
		})
		if !restricted {
			t.Errorf("%s: no NetworkPolicy closes it", row.deployment)
		}
		got := slices.ContainsFunc(all.networks, func(n networking.NetworkPolicy) bool { return admits(t, &n, row.from, to, p) })
		if got != row.admitted {
			t.Errorf("from %v to %s of %s: admitted is %t, want %t", row.from, row.port, row.deployment, got, row.admitted)
		}
	}
	to, ops := port("meshpass", "meshpass", "http-ops")
	scraped := slices.ContainsFunc(all.networks, func(n networking.NetworkPolicy) bool {
		return n.Namespace == to.namespace && slices.ContainsFunc(n.Spec.Ingress, func(rule networking.NetworkPolicyIngressRule) bool {
			return len(rule.From) == 1 && rule.From[0].PodSelector == nil && rule.From[0].NamespaceSelector != nil &&
				rule.From[0].NamespaceSelector.MatchLabels["meshpass.dev/monitoring"] == "true" && rule.Ports[0].Port.StrVal == ops.Name
		})
	})
	if !scraped {
		t.Error("monitoring does not reach the authorizer's metrics")
	}
	if jobs := slices.IndexFunc(all.networks, func(n networking.NetworkPolicy) bool { return n.Name == "meshpass-keys" }); jobs < 0 ||
		len(all.networks[jobs].Spec.Ingress) != 0 || len(all.networks[jobs].Spec.PolicyTypes) != 2 {
		t.Error("the key rotation job has no NetworkPolicy that closes its way in and limits its way out")
	}
}

// Tyk's control API can make keys of any caller. It is on a port of its own, that no Service names and
// that the sidecar closes.
func TestControlAPIIsOnAPortThatNoServiceNames(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(shipped, "tyk", "tyk.conf"))
	if err != nil {
		t.Fatal(err)
	}
	var conf struct {
		Listen  int32 `json:"listen_port"`
		Control int32 `json:"control_api_port"`
	}
	if err := json.Unmarshal(data, &conf); err != nil {
		t.Fatal(err)
	}
	if conf.Control == 0 || conf.Control == conf.Listen {
		t.Fatalf("control_api_port is %d and listen_port %d", conf.Control, conf.Listen)
	}
	all := allObjects(t)
	for _, s := range all.services {
		for _, p := range s.Spec.Ports {
			if s.Namespace == "edge" && (p.Port == conf.Control || containerPort(all, p).ContainerPort == conf.Control) {
				t.Errorf("Service %s names it", s.Name)
			}
		}
	}
	if !slices.ContainsFunc(all.policies, func(p *securityv1.AuthorizationPolicy) bool {
		return p.Namespace == "edge" && p.Spec.GetAction() == security.AuthorizationPolicy_DENY && p.Spec.GetSelector().GetMatchLabels()["app"] == "tyk-gateway" &&
			len(p.Spec.GetRules()) == 1 && len(p.Spec.GetRules()[0].GetFrom()) == 0 && slices.Equal(p.Spec.GetRules()[0].GetTo()[0].GetOperation().GetPorts(), []string{"8081"})
	}) {
		t.Error("the sidecar does not close it")
	}
}

// Plaintext is refused by a step of its own, namespace by namespace, and by nothing else.
func TestNothingRequiresMutualTLSOfTheWholeMesh(t *testing.T) {
	all := allObjects(t)
	if len(all.peers) == 0 {
		t.Fatal("no PeerAuthentication")
	}
	for _, p := range all.peers {
		if p.Namespace == rootNamespace || p.Namespace == "" {
			t.Errorf("PeerAuthentication %s/%s holds for the whole mesh", p.Namespace, p.Name)
		}
	}
	built, err := kustomize.Build(filepath.Join(shipped, "istio"))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range built {
		if strings.Contains(string(o.YAML), "kind: PeerAuthentication") {
			t.Errorf("%s: kubectl apply -k manifests/istio refuses plaintext as a side effect", o.File)
		}
	}
}

// What docs/onboarding.md has the authorizer read is mounted.
func TestOnboardingMountsWhatItNames(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(shipped, "..", "docs", "onboarding.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := allObjects(t)
	var mounts []string
	for _, d := range all.deployments {
		if d.Namespace == "meshpass" {
			for _, m := range d.Spec.Template.Spec.Containers[0].VolumeMounts {
				mounts = append(mounts, m.MountPath)
			}
		}
	}
	for _, field := range strings.FieldsFunc(string(page), func(r rune) bool { return strings.ContainsRune(" ,{}`\n", r) }) {
		if strings.HasPrefix(field, "/etc/meshpass/") && !slices.Contains(mounts, field) && !slices.Contains(mounts, filepath.Dir(field)) {
			t.Errorf("%s is mounted by nobody: %v", field, mounts)
		}
	}
}
