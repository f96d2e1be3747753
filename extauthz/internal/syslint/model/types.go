package model

import (
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

// memberKinds are members that checks read, by the kind of their values (apidef.APIDefinition and config.Config of Tyk 5.8).
type memberKinds map[objects.Kind]string

var (
	classicMembers = memberKinds{
		objects.Bool: `active internal use_keyless use_standard_auth enable_jwt use_openid use_oauth2 use_basic_auth use_mutual_tls_auth enable_signature_checking
			enable_coprocess_auth use_go_plugin_auth enable_context_vars enable_detailed_recording domain_disabled is_oas custom_middleware_bundle_disabled
			config_data_disabled enable_batch_request_support CORS.enable CORS.options_passthrough cache_options.enable_cache proxy.strip_listen_path
			proxy.preserve_host_header proxy.disable_strip_slash proxy.enable_load_balancing proxy.service_discovery.use_discovery_service
			graphql.enabled version_data.not_versioned definition.enabled`,
		objects.Text: `api_id org_id name protocol domain jwt_source base_identity_provided_by custom_middleware_bundle proxy.listen_path proxy.target_url
			custom_middleware.driver definition.location definition.key definition.default`,
		objects.Number: `listen_port`,
		objects.List: `jwt_default_policies proxy.target_list custom_middleware.pre custom_middleware.post_key_auth custom_middleware.post
			custom_middleware.response openid_options.providers`,
		objects.Map: `auth auth_configs CORS cache_options proxy custom_middleware version_data version_data.versions definition definition.versions graphql
			openid_options config_data`,
	}
	openMembers = memberKinds{
		objects.Bool: `info.state.active info.state.internal info.versioning.enabled server.listenPath.strip server.customDomain.enabled
			server.authentication.enabled server.clientCertificates.enabled server.detailedActivityLogs.enabled upstream.loadBalancing.enabled
			upstream.serviceDiscovery.enabled middleware.global.contextVariables.enabled middleware.global.cors.enabled middleware.global.cors.optionsPassthrough
			middleware.global.cache.enabled middleware.global.pluginConfig.bundle.enabled`,
		objects.Text: `info.id info.name server.protocol server.listenPath.value server.customDomain.name upstream.url middleware.global.pluginConfig.driver
			middleware.global.pluginConfig.bundle.path`,
		objects.Number: `server.port`,
		objects.List: `info.versioning.versions upstream.loadBalancing.targets middleware.global.prePlugins middleware.global.postAuthenticationPlugins
			middleware.global.postPlugins middleware.global.responsePlugins`,
		objects.Map: `info server server.listenPath server.authentication upstream middleware middleware.global middleware.operations`,
	}
	gatewayMembers = memberKinds{
		objects.Bool: `use_db_app_configs enable_custom_domains enable_bundle_downloader enable_analytics allow_insecure_configs
			http_server_options.enable_strict_routes http_server_options.enable_path_prefix_matching http_server_options.enable_path_suffix_matching
			analytics_config.enable_detailed_recording`,
		objects.Text:   `secret node_secret app_path public_key_path bundle_base_url`,
		objects.Number: `listen_port control_api_port`,
		objects.Map:    `http_server_options storage policies analytics_config`,
	}
)

var kindNames = map[objects.Kind]string{objects.Bool: "true or false", objects.Text: "text", objects.Number: "a number", objects.List: "a list", objects.Map: "an object"}

// checkKinds records values of another kind. Tyk rejects the whole file for one of them.
func (m *Model) checkKinds(root *objects.Node, what string, members memberKinds) {
	wrong := func(n *objects.Node, format string, args ...any) {
		m.Set.Unchecked = append(m.Set.Unchecked, objects.Unchecked{Place: n.Place(), Reason: fmt.Sprintf(format, args...)})
	}
	if root == nil || root.Kind != objects.Map {
		return
	}
	for kind, names := range members {
		for _, name := range strings.Fields(names) {
			if n := root.FindFold(strings.Split(name, ".")...); n != nil && n.Kind != kind && n.Kind != objects.Null {
				wrong(n, "%s: want %s; with another value Tyk does not load the %s", name, kindNames[kind], what)
			}
		}
	}
}
