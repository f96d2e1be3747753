package objects

import "strings"

// The groups whose objects are checked.
const (
	Core       = ""
	Apps       = "apps"
	Batch      = "batch"
	Security   = "security.istio.io"
	Networking = "networking.istio.io"
	Telemetry  = "telemetry.istio.io"
	Extensions = "extensions.istio.io"
	Install    = "install.istio.io"
	Sail       = "sailoperator.io"
	GatewayAPI = "gateway.networking.k8s.io"
	Tyk        = "tyk.tyk.io"
	Meshpass   = "meshpass.dev"
	Admission  = "admissionregistration.k8s.io"
	Network    = "networking.k8s.io"
	Argo       = "argoproj.io"
	kustomize  = "kustomize.config.k8s.io"
)

// kindInfo is what is known of a kind.
type kindInfo struct {
	versions string // with spaces
	plural   string // in the API; empty: it is never read from a cluster
	cluster  bool   // it has no namespace
}

// checkedKinds are the kinds that checks read, by group and kind.
var checkedKinds = map[string]map[string]kindInfo{
	Core: {
		"Namespace": {versions: "v1", plural: "namespaces", cluster: true}, "Service": {versions: "v1", plural: "services"},
		"ConfigMap": {versions: "v1", plural: "configmaps"}, "Secret": {versions: "v1", plural: "secrets"},
		"Pod": {versions: "v1", plural: "pods"}, "ServiceAccount": {versions: "v1", plural: "serviceaccounts"},
	},
	Apps: {
		"Deployment": {versions: "v1", plural: "deployments"}, "StatefulSet": {versions: "v1", plural: "statefulsets"},
		"DaemonSet": {versions: "v1", plural: "daemonsets"}, "ReplicaSet": {versions: "v1", plural: "replicasets"},
	},
	Batch:   {"Job": {versions: "v1", plural: "jobs"}, "CronJob": {versions: "v1", plural: "cronjobs"}},
	Network: {"NetworkPolicy": {versions: "v1", plural: "networkpolicies"}},
	Argo:    {"Rollout": {versions: "v1alpha1", plural: "rollouts"}},
	Security: {
		"AuthorizationPolicy": {versions: "v1 v1beta1", plural: "authorizationpolicies"}, "PeerAuthentication": {versions: "v1 v1beta1", plural: "peerauthentications"},
		"RequestAuthentication": {versions: "v1 v1beta1", plural: "requestauthentications"},
	},
	Networking: {
		"VirtualService": {versions: "v1 v1beta1 v1alpha3", plural: "virtualservices"}, "DestinationRule": {versions: "v1 v1beta1 v1alpha3", plural: "destinationrules"},
		"Gateway": {versions: "v1 v1beta1 v1alpha3", plural: "gateways"}, "ServiceEntry": {versions: "v1 v1beta1 v1alpha3", plural: "serviceentries"},
		"Sidecar": {versions: "v1 v1beta1 v1alpha3", plural: "sidecars"}, "WorkloadEntry": {versions: "v1 v1beta1 v1alpha3", plural: "workloadentries"},
		"WorkloadGroup": {versions: "v1 v1beta1 v1alpha3", plural: "workloadgroups"}, "EnvoyFilter": {versions: "v1alpha3", plural: "envoyfilters"},
		"ProxyConfig": {versions: "v1beta1", plural: "proxyconfigs"},
	},
	Telemetry:  {"Telemetry": {versions: "v1 v1alpha1", plural: "telemetries"}},
	Extensions: {"WasmPlugin": {versions: "v1alpha1", plural: "wasmplugins"}},
	Install:    {"IstioOperator": {versions: "v1alpha1"}},
	Sail: {
		"Istio": {versions: "v1 v1alpha1", plural: "istios", cluster: true}, "IstioRevisionTag": {versions: "v1 v1alpha1", plural: "istiorevisiontags", cluster: true},
		"IstioRevision": {versions: "v1 v1alpha1"}, "IstioCNI": {versions: "v1 v1alpha1"}, "ZTunnel": {versions: "v1 v1alpha1"},
	},
	Admission: {
		"MutatingWebhookConfiguration": {versions: "v1", plural: "mutatingwebhookconfigurations", cluster: true}, "ValidatingWebhookConfiguration": {versions: "v1"},
		"ValidatingAdmissionPolicy": {versions: "v1 v1beta1"}, "ValidatingAdmissionPolicyBinding": {versions: "v1 v1beta1"}, "MutatingAdmissionPolicy": {versions: "v1 v1alpha1 v1beta1"},
		"MutatingAdmissionPolicyBinding": {versions: "v1 v1alpha1 v1beta1"},
	},
	GatewayAPI: {
		"Gateway": {versions: "v1 v1beta1", plural: "gateways"}, "GatewayClass": {versions: "v1 v1beta1", plural: "gatewayclasses", cluster: true},
		"HTTPRoute": {versions: "v1 v1beta1", plural: "httproutes"}, "GRPCRoute": {versions: "v1 v1alpha2", plural: "grpcroutes"},
		"TCPRoute": {versions: "v1 v1alpha2"}, "TLSRoute": {versions: "v1 v1alpha2 v1alpha3"}, "UDPRoute": {versions: "v1 v1alpha2"},
		"ReferenceGrant": {versions: "v1 v1beta1"}, "BackendTLSPolicy": {versions: "v1 v1alpha3"}, "ListenerSet": {versions: "v1"},
	},
	Tyk: {
		"ApiDefinition": {versions: "v1alpha1", plural: "apidefinitions"}, "TykOasApiDefinition": {versions: "v1alpha1", plural: "tykoasapidefinitions"},
		"SecurityPolicy": {versions: "v1alpha1", plural: "securitypolicies"}, "OperatorContext": {versions: "v1alpha1"}, "TykStreamsApiDefinition": {versions: "v1alpha1"},
		"APIDescription": {versions: "v1alpha1"}, "PortalAPICatalogue": {versions: "v1alpha1"}, "PortalConfig": {versions: "v1alpha1"},
		"SubGraph": {versions: "v1alpha1"}, "SuperGraph": {versions: "v1alpha1"},
	},
	Meshpass:  {"AccessPolicy": {versions: "v1"}, "PolicyTest": {versions: "v1"}},
	kustomize: {"Kustomization": {versions: "v1beta1 v1"}, "Component": {versions: "v1alpha1"}},
}

// unrelatedGroups hold objects that no check reads. All groups of Kubernetes itself are among them.
var unrelatedGroups = []string{
	"apiextensions.k8s.io", "apiregistration.k8s.io", "apps", "argoproj.io", "autoscaling", "batch", "cert-manager.io", "certificates.k8s.io",
	"cilium.io", "coordination.k8s.io", "crd.projectcalico.org", "discovery.k8s.io", "events.k8s.io", "external-secrets.io", "flowcontrol.apiserver.k8s.io",
	"helm.toolkit.fluxcd.io", "internal.apiserver.k8s.io", "karpenter.sh", "keda.sh", "kustomize.toolkit.fluxcd.io", "kyverno.io", "metrics.k8s.io", "monitoring.coreos.com",
	"node.k8s.io", "policy", "projectcalico.org", "rbac.authorization.k8s.io", "resource.k8s.io", "scheduling.k8s.io", "snapshot.storage.k8s.io",
	"source.toolkit.fluxcd.io", "storage.k8s.io", "traefik.io", "velero.io",
}

// coreKinds are the kinds of the core group that no check reads.
var coreKinds = []string{
	"Binding", "ComponentStatus", "Endpoints", "Event", "LimitRange", "Node", "PersistentVolume", "PersistentVolumeClaim", "PodTemplate", "ReplicationController", "ResourceQuota",
}

// networkKinds are the kinds of networking.k8s.io that no check reads.
var networkKinds = []string{"Ingress", "IngressClass", "IPAddress", "ServiceCIDR"}

func splitAPIVersion(text string) (group, version string) {
	if before, after, found := strings.Cut(text, "/"); found {
		return before, after
	}
	return "", text
}
