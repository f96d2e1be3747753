package localcopy

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/app"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/redact"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// keptSettings are the settings of tyk.conf that change how requests are answered. All others are about the place of a gateway.
var keptSettings = []string{
	"hash_keys", "hash_key_function", "enable_redis_rolling_limiter", "enable_sentinel_rate_limiter", "enable_fixed_window_rate_limiter", "enable_rate_limit_smoothing",
	"enable_non_transactional_rate_limiter", "drl_notification_frequency", "drl_threshold", "drl_enable_sentinel_rate_limiter", "enforce_org_quotas", "enforce_org_data_age",
	"enable_custom_domains", "hostname", "allow_master_keys", "global_session_lifetime", "force_global_session_lifetime", "session_lifetime_respects_key_expiration",
	"ignore_endpoint_case", "local_session_cache", "max_request_body_size", "proxy_default_timeout", "legacy_enable_allowance_countdown", "enable_context_vars",
	"enable_key_logging", "override_messages", "basic_auth_hash_key_function", "jwt_ssl_insecure_skip_verify", "suppress_default_org_store", "allow_insecure_configs",
}

// keptHTTP are the settings of http_server_options that change how requests are matched.
var keptHTTP = []string{
	"enable_path_prefix_matching", "enable_path_suffix_matching", "enable_strict_routes", "skip_url_cleaning", "skip_target_path_escaping", "max_request_body_size",
	"override_defaults", "read_timeout", "write_timeout", "xff_depth", "enable_websockets",
}

// Limiter is how the gateway counts requests for rate limits.
type Limiter struct {
	Name  string `json:"name"`
	Exact bool   `json:"exact"` // the same requests are denied in each run, and with any number of gateways
	Note  string `json:"note"`
}

// String is the limiter for people.
func (l Limiter) String() string {
	if l.Exact {
		return l.Name + " (exact): " + l.Note
	}
	return l.Name + " (NOT EXACT): " + l.Note
}

// describeLimiter names the limiter that tyk.conf selects, in the order of Tyk 5.8 (SessionLimiter.ForwardMessage).
func describeLimiter(conf object) Limiter {
	switch {
	case isTrueAt(conf, "enable_fixed_window_rate_limiter"):
		return Limiter{"fixed window in Redis", true, "a window begins at a caller's first request: up to twice the rate passes around the change of a window"}
	case isTrueAt(conf, "enable_sentinel_rate_limiter"):
		return Limiter{
			"sentinel in Redis", false,
			"requests are counted after they are let in, so concurrent ones above the limit pass; after that, all are denied for the whole time of the limit, and a caller that does not pause gets one request in at its end",
		}
	case isTrueAt(conf, "enable_redis_rolling_limiter") && isTrueAt(conf, "drl_enable_sentinel_rate_limiter"):
		return Limiter{"rolling window in Redis", true, "denied requests count too; with drl_enable_sentinel_rate_limiter, one request fewer than the limit passes"}
	case isTrueAt(conf, "enable_redis_rolling_limiter"):
		return Limiter{"rolling window in Redis", true, "denied requests count too: a caller that does not pause stays denied"}
	}
	return Limiter{
		"distributed rate limiter (DRL) in the memory of each gateway", false,
		"one gateway runs here. With several gateways each counts its own requests against a share of the limit, so a caller is denied earlier or later than here, by how its requests spread",
	}
}

// buildConf makes the gateway's configuration from the user's.
func (c *Copy) buildConf(name string) ([]byte, error) {
	user := object{"hash_keys": true, "enable_redis_rolling_limiter": true}
	if name != "" {
		data, err := readfile.Read(name, maxDefinition)
		if err != nil {
			return nil, err
		}
		user = object{}
		if err := json.Unmarshal(data, &user); err != nil {
			return nil, describeJSONError(name, data, err)
		}
	}
	c.Limiter, c.Matching, c.hashesKeys = describeLimiter(user), readMatching(user), isTrueAt(user, "hash_keys")
	conf := object{}
	var unused []string
	for _, key := range sortedKeys(user) {
		switch {
		case slices.Contains(keptSettings, key):
			conf[key] = user[key]
		case key == "http_server_options":
			kept := object{}
			for _, option := range sortedKeys(toObject(user[key])) {
				if slices.Contains(keptHTTP, option) {
					kept[option] = toObject(user[key])[option]
				} else {
					unused = append(unused, key+"."+option)
				}
			}
			conf[key] = kept
		case key == "storage":
			host := textAt(toObject(user[key]), "host")
			if hosts := toList(toObject(user[key])["addrs"]); host == "" && len(hosts) > 0 {
				host = fmt.Sprint(hosts[0])
			}
			host = host[strings.LastIndexByte(host, '@')+1:] // a password may be before it
			c.Changes.addReplaced(filepath.Base(name), "storage", host, c.redisAddress(), "a local Redis, empty")
		default:
			unused = append(unused, key)
		}
	}
	if len(unused) > 0 {
		c.Changes.addSkipped(filepath.Base(name), strings.Join(unused, ", "), "settings about the place of the gateway, which the copy has of its own")
	}
	for key, value := range (object{
		"listen_address": c.net.Addr(gatewayHost), "listen_port": gatewayPort, "control_api_port": controlPort,
		"template_path": "templates", "middleware_path": "middleware", "pid_file_location": "tyk.pid", "app_path": "apis/", "use_db_app_configs": false,
		"policies":         object{"policy_source": "file", "policy_record_name": "policies.json"},
		"storage":          object{"type": "redis", "host": c.net.Addr(redisHost), "port": redisPort},
		"enable_analytics": false, "enable_jsvm": false, "enable_bundle_downloader": false, "enable_hashed_keys_listing": true,
		"log_level": "info", "log_format": "json", "allow_insecure_configs": true,
	}) {
		conf[key] = value
	}
	return json.MarshalIndent(conf, "", "  ")
}

// readPlugin reads the plugin's configuration, and makes the one of the copy.
func (c *Copy) readPlugin(name string) ([]byte, error) {
	data, err := readfile.Read(name, maxDefinition)
	if err != nil {
		return nil, err
	}
	config, checker, err := settings.Load(name, data)
	if err == nil {
		err = checker.Err()
	}
	if err != nil {
		return nil, err
	}
	c.plugin = config
	var whole object
	if err := yaml.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	file := filepath.Base(name)
	idps := toList(whole["idps"])
	for i, idp := range config.IDPs {
		p := identityProvider{alias: idp.Alias, issuer: idp.Issuer, subject: idp.Subject, scopes: idp.Scopes, claims: map[string]string{}, kind: chooseTokenType(idp.Types)}
		for _, source := range idp.Sources {
			p.sources = append(p.sources, settings.DecodeJWTSource(source))
		}
		if len(idp.Audiences) > 0 {
			p.audience = idp.Audiences[0]
		}
		for member, rule := range idp.Claims {
			if !rule.Removed {
				p.claims[member] = rule.From
			}
		}
		p.localIssuer = fmt.Sprintf("http://%s/%s", c.providerAddress(), idp.Alias)
		p.localKeys = p.localIssuer + "/keys"
		c.providers = append(c.providers, p)
		entry := toObject(idps[i])
		entry["issuer"] = p.localIssuer
		if len(idp.Sources) > 0 {
			entry["jwtSources"] = []any{p.localKeys}
		}
		c.Changes.addReplaced(file, fmt.Sprintf("idps[%d].issuer", i), redact.URL(idp.Issuer), p.localIssuer, "the local OpenID provider, a stand-in")
	}
	whole["keys"] = object{"dir": "keys"}
	c.Changes.addReplaced(file, "keys", "(signing keys)", "keys", "a new key, for this rehearsal alone")
	whole["secretFile"] = "hmac"
	upstreams := toList(whole["upstreams"])
	whole["upstreams"] = append(upstreams, c.egressAddress())
	c.Changes.addReplaced(file, "upstreams", "", c.egressAddress(), "added: the local Envoy")
	whole["audit"] = object{"output": settings.Stdout, "anonymousDenials": 100_000}
	c.Changes.addReplaced(file, "audit", "", settings.Stdout, "all records, without masks, for the report")
	for key, why := range map[string]string{"revocation": "no list of revocations is read", "metrics": "no metrics are served"} {
		if _, set := whole[key]; set {
			c.Changes.addSkipped(file, key, why)
			delete(whole, key)
		}
	}
	for i, entry := range toObjects(toObject(whole["edge"])["policies"]) {
		if entry["path"], err = filepath.Abs(config.Edge.Policies[i].Path); err != nil {
			return nil, err
		}
	}
	return yaml.Marshal(whole)
}

// chooseTokenType chooses a type that the plugin admits.
func chooseTokenType(admitted []string) string {
	if len(admitted) == 0 || slices.ContainsFunc(admitted, func(typ string) bool { return settings.NormalizeType(typ) == "jwt" }) {
		return "JWT"
	}
	return strings.TrimPrefix(admitted[0], settings.Untyped)
}

// readAuthorizer reads the authorizer's configuration, and makes the one of the copy.
func (c *Copy) readAuthorizer(own plan.Authorizer) ([]byte, error) {
	name := own.Config
	data, err := readfile.Read(name, app.MaxConfigBytes)
	if err != nil {
		return nil, err
	}
	if err := app.CheckShape(os.LookupEnv, name, data); err != nil {
		return nil, err
	}
	var whole object
	if err := yaml.Unmarshal(data, &whole); err != nil {
		return nil, err
	}
	file := filepath.Base(name)
	if domain := textAt(toObject(whole["trustDomains"]), "local"); domain != "" {
		c.trustDomain = domain
	}
	var kept []any
	for i, entry := range toObjects(whole["trust"]) {
		part := fmt.Sprintf("trust[%d]", i)
		if textAt(entry, "issuer") != c.plugin.Issuer {
			c.Changes.addSkipped(file, part, "the issuer "+textAt(entry, "issuer")+" is not that of the plugin: no token of it is made here")
			continue
		}
		was := textAt(toObject(entry["jwks"]), "url")
		if was == "" {
			was = textAt(toObject(entry["jwks"]), "file")
		}
		c.Changes.addReplaced(file, part+".jwks", redact.URL(was), "jwks.json", "the key of this rehearsal")
		entry["jwks"] = object{"file": filepath.Join(c.dir, "jwks.json")}
		if algorithms := toList(entry["algorithms"]); len(algorithms) > 0 && !slices.Contains(algorithms, any(signingAlgorithm)) {
			return nil, fmt.Errorf("%s: %s.algorithms: a rehearsal signs with %s: add it in a copy of the file", name, part, signingAlgorithm)
		}
		kept = append(kept, entry)
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("%s: trust: no entry has the issuer of the plugin, %s: no token would be valid", name, c.plugin.Issuer)
	}
	whole["trust"] = kept
	whole["listeners"] = []any{object{"name": "rehearsal", "grpc": c.authorizerAddress(), "caller": "principal", "callee": "principal"}}
	whole["tls"] = object{"mode": "plaintext"}
	whole["ops"] = c.opsAddress()
	whole["audit"] = object{"output": "stdout", "anonymousDenials": 100_000}
	c.Changes.addReplaced(file, "listeners, tls, ops, audit", "", c.authorizerAddress(), "one listener on loopback, without TLS, for the local Envoy")
	if err := c.resolvePolicies(name, toObject(whole["policies"]), own.Policies); err != nil {
		return nil, err
	}
	for key, why := range map[string]string{
		"revocation": "no list of revocations is read", "tracing": "no spans are sent", "debug": "it does not listen", "insecure": "nothing of it is needed here",
		"envoy": "the local Envoy sends all headers",
	} {
		if _, set := whole[key]; set {
			c.Changes.addSkipped(file, key, why)
			delete(whole, key)
		}
	}
	return yaml.Marshal(whole)
}

// resolvePolicies makes the paths of policy folders absolute. The file may be the one of a cluster, with paths of a container: folders that are
// not here need a path of their own.
func (c *Copy) resolvePolicies(name string, policies object, own map[string]string) error {
	used := map[string]bool{}
	for i, dir := range toObjects(policies["dirs"]) {
		path := os.ExpandEnv(textAt(dir, "path"))
		folder := cmp.Or(textAt(dir, "name"), source.DirName(path))
		if replaced, known := own[folder]; known {
			c.Changes.addReplaced(filepath.Base(name), fmt.Sprintf("policies.dirs[%d].path", i), path, replaced, "authorizer.policies")
			dir["name"], path, used[folder] = folder, replaced, true
		} else if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(name), path)
		}
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if info, err := os.Stat(absolute); err != nil || !info.IsDir() {
			return fmt.Errorf("%s: policies.dirs[%d].path: there is no folder %s: name it in the rehearsal file, as authorizer: {policies: {%s: FOLDER}}", name, i, absolute, folder)
		}
		dir["path"] = absolute
	}
	for _, folder := range slices.Sorted(maps.Keys(own)) {
		if !used[folder] {
			return fmt.Errorf("authorizer.policies: %s has no folder of the name %q", name, folder)
		}
	}
	overrides := textAt(policies, "overrides")
	if overrides == "" {
		return nil
	}
	if overrides = os.ExpandEnv(overrides); !filepath.IsAbs(overrides) {
		overrides = filepath.Join(filepath.Dir(name), overrides)
	}
	absolute, err := filepath.Abs(overrides)
	if err != nil {
		return err
	}
	policies["overrides"] = absolute
	if _, err := os.Stat(absolute); err != nil {
		delete(policies, "overrides")
		c.Changes.addSkipped(filepath.Base(name), "policies.overrides", "there is no file "+absolute)
	}
	return nil
}

// readPolicies checks the policies of Tyk, and returns the file as it is: it names no address.
func (c *Copy) readPolicies(name string) ([]byte, error) {
	if name == "" {
		return []byte("{}"), nil
	}
	data, err := readfile.Read(name, maxDefinition)
	if err != nil {
		return nil, err
	}
	policies := object{}
	if err := json.Unmarshal(data, &policies); err != nil {
		return nil, describeJSONError(name, data, err)
	}
	for _, id := range sortedKeys(policies) {
		p := toObject(policies[id])
		if p == nil {
			return nil, fmt.Errorf("%s: policy %q: want an object", name, id)
		}
		c.Policies[id] = newPolicy(p)
	}
	return data, nil
}

// RequireFile gives the absolute path of a regular file.
func RequireFile(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no regular file", path)
	}
	return filepath.Abs(path)
}
