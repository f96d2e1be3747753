package objects

import (
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/configcheck"
)

// ContentKind is the meaning of a file that is no Kubernetes object.
type ContentKind string

// The kinds of contents.
const (
	ClassicAPI   ContentKind = "classic API definition"
	OpenAPI      ContentKind = "OpenAPI definition"
	TykConfig    ContentKind = "tyk.conf"
	TykValues    ContentKind = "Helm values of Tyk"
	TykPolicies  ContentKind = "Tyk policies"
	TykKey       ContentKind = "Tyk key"
	TykManifest  ContentKind = "manifest of a Tyk bundle"
	PluginFile   ContentKind = "plugin configuration"
	Authorizer   ContentKind = "authorizer configuration"
	AccessPolicy ContentKind = "AccessPolicy"
	MeshConfig   ContentKind = "MeshConfig"
	MeshValues   ContentKind = "Helm values of Istio"
	KeySet       ContentKind = "key set"
	KeyList      ContentKind = "list of signing keys"
	Overrides    ContentKind = "overrides"
	Revocations  ContentKind = "revocations"
	ServiceList  ContentKind = "list of Services"
	known        ContentKind = "known and not checked" // such as cases of policies
	unknown      ContentKind = ""
)

// recognise finds the kind of a document that is no Kubernetes object.
func recognise(name string, root *Node) ContentKind {
	has := func(keys ...string) bool {
		return !slices.ContainsFunc(keys, func(key string) bool { return root.Find(key) == nil })
	}
	hasOne := func(keys ...string) bool {
		return slices.ContainsFunc(keys, func(key string) bool { return root.Find(key) != nil })
	}
	switch {
	case root.Kind == List:
		if len(root.Items) > 0 && !slices.ContainsFunc(root.Items, func(n *Node) bool { return !isTykPolicy(n) }) {
			return TykPolicies
		}
		return unknown
	case root.Kind != Map:
		return unknown
	case has("x-tyk-api-gateway"):
		return OpenAPI
	case has("api_definition"):
		return ClassicAPI
	case has("file_list", "custom_middleware"):
		return TykManifest
	case has("api_id", "access_rights"), has("access_rights") && !isTykPolicy(root), hasOne("apply_policies", "apply_policy_id"):
		return TykKey
	case hasOne("api_id", "use_keyless", "version_data") && root.Find("proxy") != nil, has("proxy") && root.FindPath("proxy", "listen_path") != nil:
		return ClassicAPI
	case has("keys") && isKeySet(root):
		return KeySet
	case has("keys") && isKeyList(root):
		return KeyList
	case hasOne("app_path", "middleware_path", "template_path", "use_db_app_configs", "node_secret", "http_server_options", "enable_bundle_downloader", "policies") && hasOne("listen_port", "storage", "app_path", "secret", "http_server_options"):
		return TykConfig
	case name == "tyk.conf":
		return TykConfig
	case name == "policies.json" && root.IsEmpty(): // Tyk's own file, without a policy
		return TykPolicies
	case has("meshConfig") || root.FindPath("values", "meshConfig") != nil || root.FindPath("istiod", "meshConfig") != nil, isMeshValues(root), isMeshValues(root.Find("istiod")):
		return MeshValues
	case root.FindPath("tyk-gateway", "gateway") != nil, root.FindPath("gateway", "extraEnvs") != nil, root.FindPath("tyk-oss") != nil, root.FindPath("gateway", "enableStrictRoutes") != nil:
		return TykValues
	case len(root.Items) > 0 && !slices.ContainsFunc(root.Items, func(n *Node) bool { return !isTykPolicy(n) }):
		return TykPolicies
	case isTykPolicy(root):
		return TykPolicies
	case hasOne("extensionProviders", "pathNormalization", "trustDomain", "rootNamespace", "accessLogFile", "defaultConfig", "enableAutoMtls", "outboundTrafficPolicy"):
		return MeshConfig
	case has("issuer", "keys"), has("issuer", "upstreams"), has("listeners", "trust"), has("listeners", "policies"):
		return recogniseConfiguration(root)
	case has("overrides"):
		return Overrides
	case has("revocations"):
		return Revocations
	case isServiceList(root.Find("services")):
		return ServiceList
	case has("revoked") || has("services"):
		return known
	}
	return recogniseConfiguration(root)
}

// isMeshValues reports Helm values of istiod without a MeshConfig, as a second file of values has them.
func isMeshValues(root *Node) bool {
	return root.Find("pilot") != nil || root.Find("sidecarInjectorWebhook") != nil || root.FindPath("global", "proxy") != nil ||
		slices.ContainsFunc(root.Find("env").Members(), func(n *Node) bool { return n.Key == "SHARED_MESH_CONFIG" || strings.HasPrefix(n.Key, "PILOT_") })
}

// recogniseConfiguration is [configcheck.FindKind] for a file that was parsed.
func recogniseConfiguration(root *Node) ContentKind {
	var text strings.Builder
	for _, m := range root.Members() {
		if !plainKey.MatchString(m.Key) {
			return unknown
		}
		text.WriteString(m.Key + ": 1\n")
	}
	kind, err := configcheck.FindKind([]byte(text.String()))
	switch {
	case err != nil:
		return unknown
	case kind == configcheck.Authorizer:
		return Authorizer
	case kind == configcheck.Plugin:
		return PluginFile
	}
	return unknown
}

var plainKey = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]*$`)

// isTykPolicy reports a policy of Tyk: an object with rights, and with limits or a state, which keys of users do not have by themselves.
func isTykPolicy(n *Node) bool {
	if n == nil || n.Kind != Map || n.Find("access_rights") == nil && n.Find("partitions") == nil {
		return false
	}
	return n.Find("apply_policies") == nil && n.Find("alias") == nil && (n.Find("id") != nil || n.Find("_id") != nil || n.Find("state") != nil || n.Find("name") != nil || n.Find("active") != nil)
}

func isKeySet(root *Node) bool {
	keys := root.Find("keys")
	return keys.Kind == List && !slices.ContainsFunc(keys.Items, func(k *Node) bool { return k.Find("kty") == nil })
}

// isServiceList reports the member services of a file that `meshpass services` writes.
func isServiceList(services *Node) bool {
	return len(services.Entries()) > 0 && services.Kind == List && !slices.ContainsFunc(services.Items, func(s *Node) bool { return s.Find("addresses") == nil })
}

// isKeyList reports keys.yaml of a folder of signing keys: times by key id.
func isKeyList(root *Node) bool {
	keys := root.Find("keys")
	return keys.Kind == Map && len(keys.Items) > 0 && !slices.ContainsFunc(keys.Items, func(k *Node) bool { return k.Find("signFrom") == nil && k.Find("publishAt") == nil })
}
