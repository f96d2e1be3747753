package localcopy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// knownMembers are the members that this package reads or changes.
var knownMembers = []string{
	"api_id", "name", "org_id", "proxy", "listen_path", "target_url", "target_list", "transport", "proxy_url", "preserve_host_header",
	"check_host_against_uptime_tests", "service_discovery", "use_discovery_service", "uptime_tests", "check_list", "version_data", "versions", "extended_paths",
	"override_target", "url_rewrites", "rewrite_to", "triggers", "virtual", "go_plugin", "rate_limit", "event_handlers", "upstream_certificates", "pinned_public_keys",
	"certificates", "notifications", "client_certificates", "upstream_auth", "request_signing", "is_enabled", "enable_batch_request_support", "analytics_plugin",
	"listen_port", "CORS", "options_passthrough", "custom_middleware", "pre", "post", "post_key_auth", "response", "auth_check", "driver", "path", "enable_jwt",
	"jwt_source", "jwt_signing_method", "jwt_jwks_uris", "use_openid", "openid_options", "providers", "issuer", "use_basic_auth", "use_oauth2",
	"enable_signature_checking", "use_mutual_tls_auth", "auth", "use_certificate", "external_oauth", "protocol", "graphql", "execution_mode",
	"custom_middleware_bundle", "custom_middleware_bundle_disabled", "definition", "enable_coprocess_auth", "global_rate_limit", "disable_rate_limit", "disable_quota",
	"is_oas", "jwt_identity_base_field", "domain", "domain_disabled", "enabled", "disabled", "rate", "per", "method", "x-tyk-api-gateway", "middleware", "operations", "upstream", "global", "plugins", "functionName",
}

var memberSpelling = func() map[string]string {
	all := map[string]string{}
	for _, name := range knownMembers {
		all[strings.ToLower(name)] = name
	}
	return all
}()

// normalizeMembers writes known members as Tyk does. The gateway reads them without regard to the case of letters, so a member in
// another case would otherwise be overlooked. twice is a member that is there in two spellings.
func normalizeMembers(value any) (twice string) {
	switch v := value.(type) {
	case object:
		for _, key := range sortedKeys(v) {
			if found := normalizeMembers(v[key]); found != "" {
				return found
			}
			usual, known := memberSpelling[strings.ToLower(key)]
			if !known || usual == key {
				continue
			}
			if _, both := v[usual]; both {
				return key
			}
			v[usual] = v[key]
			delete(v, key)
		}
	case []any:
		for _, entry := range v {
			if found := normalizeMembers(entry); found != "" {
				return found
			}
		}
	}
	return ""
}

// objectAt gives a member that is an object; nil: it is absent, or another kind of value.
func objectAt(o object, member string) object { return toObject(o[member]) }

func toObject(value any) object {
	o, _ := value.(object)
	return o
}

func toList(value any) []any {
	all, _ := value.([]any)
	return all
}

// toObjects gives the entries of a list that are objects.
func toObjects(value any) (all []object) {
	for _, entry := range toList(value) {
		if o := toObject(entry); o != nil {
			all = append(all, o)
		}
	}
	return all
}

func sortedKeys(o object) []string { return slices.Sorted(maps.Keys(o)) }

func sortedObjects(o object) (all []object) {
	for _, key := range sortedKeys(o) {
		all = append(all, toObject(o[key]))
	}
	return all
}

func textAt(o object, member string) string {
	s, _ := o[member].(string)
	return s
}

func isTrueAt(o object, member string) bool {
	b, _ := o[member].(bool)
	return b
}

func numberAt(o object, member string) float64 {
	switch n := o[member].(type) {
	case json.Number:
		f, _ := n.Float64()
		return f
	case float64:
		return n
	}
	return 0
}

// isEmpty reports an absent value, and one without content at any depth.
func isEmpty(value any) bool {
	switch v := value.(type) {
	case nil:
		return true
	case object:
		for _, inner := range v {
			if !isEmpty(inner) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	case bool:
		return !v
	case json.Number:
		return v == "0"
	}
	return false
}
