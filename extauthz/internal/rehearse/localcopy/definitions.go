package localcopy

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/gateway/hooks"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/readfile"
	"github.com/meshpass/meshpass/internal/redact"
)

const maxDefinition = 8 << 20

// API is what the rest of a rehearsal needs to know of a definition that runs.
type API struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	ListenPath string     `json:"listenPath"`
	Global     *Rate      `json:"globalLimit,omitempty"`    // for all callers together
	Endpoints  []Endpoint `json:"endpointLimits,omitempty"` // each for all callers together
	file       string
	org        string
	identity   string // claim that names the user of a JWT
	canary     bool
	provider   string // alias of the identity provider of its tokens
	header     string // that carries the credential
	domain     string // empty: any
}

// Rate is requests in a time.
type Rate struct {
	Rate float64 `json:"rate"`
	Per  float64 `json:"per"` // seconds
}

// definitions are the API definitions of a folder.
type definitions struct {
	apis  []*API
	files map[string][]byte // of the copy
	hosts map[string]bool   // upstreams, with their ports
}

// localiser rewrites definitions for the copy.
type localiser struct {
	env       map[string]string
	proxyURL  string // of the Envoy that the gateway's calls leave through
	plugin    string // path of the plugin's file
	providers []identityProvider
	base      string // folder of relative plugin paths
	changes   *Changes
	found     *definitions
	file      string // the definition at hand
}

// identityProvider is an idp of the plugin's file and its substitute.
type identityProvider struct {
	alias, issuer string
	sources       []string
	audience      string
	localIssuer   string
	localKeys     string
	subject       string
	scopes        []string
	claims        map[string]string // of tctx: the claim that it is made from
	kind          string            // typ in the header of its tokens; empty: no typ
}

// readDefinitions reads a folder as the gateway does: *.json, and *-oas.json beside them.
func (l *localiser) readDefinitions(dir string) (*definitions, error) {
	l.found = &definitions{files: map[string][]byte{}, hosts: map[string]bool{}}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	var wrong []error
	for _, name := range names {
		if strings.HasSuffix(name, "-oas.json") {
			if _, err := os.Stat(strings.TrimSuffix(name, "-oas.json") + ".json"); err != nil {
				l.changes.addSkipped(filepath.Base(name), "the whole file", "the gateway loads an OpenAPI definition only beside a classic one of the same name")
			}
			continue
		}
		if err := l.readDefinition(name); err != nil {
			wrong = append(wrong, err)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	if len(l.found.apis) == 0 {
		return nil, fmt.Errorf("%s: no API definition (*.json) that can run%s", dir, l.listReasons())
	}
	ids, paths := map[string]string{}, map[string]string{}
	for _, a := range l.found.apis {
		if other, twice := ids[a.ID]; twice {
			wrong = append(wrong, fmt.Errorf("%s: api_id %q is in %s too", a.file, a.ID, other))
		}
		if other, twice := paths[a.domain+a.ListenPath]; twice {
			wrong = append(wrong, fmt.Errorf("%s: listen_path %q is in %s too: the gateway would rename both", a.file, a.ListenPath, other))
		}
		ids[a.ID], paths[a.domain+a.ListenPath] = a.file, a.file
	}
	return l.found, errors.Join(wrong...)
}

func (l *localiser) listReasons() string {
	var b strings.Builder
	for _, c := range l.changes.NotRun {
		fmt.Fprintf(&b, "\n  %s: %s: %s", c.File, c.Part, c.Note)
	}
	return b.String()
}

// object is a JSON object.
type object = map[string]any

func (l *localiser) readDefinition(name string) error {
	l.file = filepath.Base(name)
	whole, err := l.readJSON(name)
	if err != nil {
		return err
	}
	a := &API{ID: textAt(whole, "api_id"), Name: textAt(whole, "name"), ListenPath: textAt(objectAt(whole, "proxy"), "listen_path"), file: l.file, org: textAt(whole, "org_id")}
	switch {
	case a.ID == "":
		return fmt.Errorf("%s: no api_id: not an API definition of Tyk; remove it from the folder", name)
	case objectAt(whole, "proxy") == nil || a.ListenPath == "":
		return fmt.Errorf("%s: no proxy.listen_path: not a classic API definition", name)
	}
	if part, why := l.findUnrunnable(whole); part != "" {
		l.changes.addSkipped(l.file, part, why+": the API does not run in the copy")
		return nil
	}
	a.header, a.identity = findCredentialHeader(whole), cmp.Or(textAt(whole, "jwt_identity_base_field"), "sub")
	if !isTrueAt(whole, "domain_disabled") {
		a.domain = textAt(whole, "domain")
	}
	l.readLimits(whole, a)
	l.removeParts(whole)
	l.replaceHooks(whole, a)
	l.replaceCredentials(whole, a)
	if a.canary {
		l.changes.addReplaced(l.file, "proxy.target_url", redact.URL(textAt(objectAt(whole, "proxy"), "target_url")), l.proxyURL, "the canary answers every request itself")
		objectAt(whole, "proxy")["target_url"] = l.proxyURL
	} else {
		l.replaceTargets(whole)
	}
	l.listOtherAddresses(l.file, "", whole)
	l.found.apis = append(l.found.apis, a)
	if l.found.files[l.file], err = json.MarshalIndent(whole, "", "  "); err != nil {
		return err
	}
	if isTrueAt(whole, "is_oas") {
		return l.readOpenAPI(strings.TrimSuffix(name, ".json") + "-oas.json")
	}
	return nil
}

// readJSON reads a classic definition, with the values of env:// as the gateway puts them in.
func (l *localiser) readJSON(name string) (object, error) {
	data, err := readfile.Read(name, maxDefinition)
	if err != nil {
		return nil, err
	}
	for _, scheme := range []string{"secrets://", "consul://", "vault://"} {
		if bytes.Contains(data, []byte(`"`+scheme)) {
			l.changes.addSkipped(l.file, `values "`+scheme+`…"`, "the store is not read: the value stays as it is written")
		}
	}
	return decodeObject(name, l.replaceVariables(data))
}

func decodeObject(name string, data []byte) (object, error) {
	var whole object
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(&whole); err != nil {
		return nil, describeJSONError(name, data, err)
	}
	if twice := normalizeMembers(whole); twice != "" {
		return nil, fmt.Errorf("%s: member %q is there in two spellings: keep one of them", name, twice)
	}
	return whole, nil
}

// environmentValue is a variable of the gateway's environment. Its name ends with the text.
var environmentValue = regexp.MustCompile(`env://([^"]+)`)

// replaceVariables puts the values of env:// in, as replaceSecrets of Tyk's gateway/api_definition.go does: at any place of a text and without
// quoting. A variable that is not set, or empty, leaves the text unchanged.
func (l *localiser) replaceVariables(data []byte) []byte {
	text := string(data)
	for _, found := range environmentValue.FindAllStringSubmatch(text, -1) {
		if value := l.env[found[1]]; value != "" {
			text = strings.ReplaceAll(text, found[0], value)
			continue
		}
		l.changes.addSkipped(l.file, found[0], "gateway.env has no value for it: the text stays as it is, as in a gateway without the variable")
	}
	return []byte(text)
}

// describeJSONError adds line and column.
func describeJSONError(name string, data []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	offset := int64(len(data))
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		return fmt.Errorf("%s: want a JSON object, not %s", name, kind.Value)
	}
	before := data[:max(0, min(offset-1, int64(len(data))))]
	line := bytes.Count(before, []byte("\n")) + 1
	return fmt.Errorf("%s:%d:%d: %w", name, line, len(before)-bytes.LastIndexByte(before, '\n'), err)
}

// findUnrunnable finds a part without which requests would be answered in another way than in production.
func (l *localiser) findUnrunnable(d object) (part, why string) {
	protocol := textAt(d, "protocol")
	switch {
	case isTrueAt(d, "use_mutual_tls_auth") || isTrueAt(objectAt(d, "auth"), "use_certificate"):
		return "use_mutual_tls_auth", "a rehearsal sends no client certificate"
	case isTrueAt(objectAt(d, "external_oauth"), "enabled"):
		return "external_oauth", "its provider cannot be replaced"
	case protocol == "tcp" || protocol == "tls":
		return "protocol", "a rehearsal sends HTTP"
	case isTrueAt(objectAt(d, "graphql"), "enabled") && textAt(objectAt(d, "graphql"), "execution_mode") != "proxyOnly":
		return "graphql", "its data sources have targets of their own"
	case textAt(d, "custom_middleware_bundle") != "" && !isTrueAt(d, "custom_middleware_bundle_disabled"):
		return "custom_middleware_bundle", "bundles are not downloaded: list the hooks in custom_middleware"
	case textAt(objectAt(d, "definition"), "location") != "" && len(objectAt(objectAt(d, "definition"), "versions")) > 0 && textAt(objectAt(d, "proxy"), "target_url") == "":
		return "definition.versions", "it has no target_url"
	}
	middleware := objectAt(d, "custom_middleware")
	driver := textAt(middleware, "driver")
	for _, list := range []string{"pre", "post", "post_key_auth", "response"} {
		for i, hook := range toObjects(middleware[list]) {
			if isTrueAt(hook, "disabled") || textAt(hook, "name") == "" {
				continue
			}
			if driver != hooks.Driver {
				return "custom_middleware.driver", fmt.Sprintf("only Go plugins run, not %q", driver)
			}
			if path := textAt(hook, "path"); !isOurs(textAt(hook, "name")) && l.findPlugin(path) == "" {
				return fmt.Sprintf("custom_middleware.%s[%d]", list, i), fmt.Sprintf("the plugin %s is not here", path)
			}
		}
	}
	if textAt(objectAt(middleware, "auth_check"), "name") != "" && isTrueAt(d, "enable_coprocess_auth") {
		return "custom_middleware.auth_check", "a rehearsal cannot make its credentials"
	}
	return "", ""
}

func isOurs(hook string) bool {
	_, ours := hooks.ListOf[hook]
	return ours || hook == hooks.Canary
}

// findPlugin finds a plugin of the user's own; "": it is absent.
func (l *localiser) findPlugin(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(l.base, path)
	}
	found, _ := filepath.Glob(strings.TrimSuffix(path, ".so") + "*.so") // the gateway looks for names with its version too
	if len(found) == 0 {
		return ""
	}
	return path
}

// findCredentialHeader finds the header that carries the credential.
func findCredentialHeader(d object) string {
	method := "authToken"
	switch {
	case isTrueAt(d, "enable_jwt"):
		method = "jwt"
	case isTrueAt(d, "use_openid"):
		method = "oidc"
	}
	return cmp.Or(textAt(objectAt(objectAt(d, "auth_configs"), method), "auth_header_name"), textAt(objectAt(d, "auth"), "auth_header_name"), "Authorization")
}

// readLimits reads the limits for all callers together.
func (l *localiser) readLimits(d object, a *API) {
	if global := objectAt(d, "global_rate_limit"); !isTrueAt(global, "disabled") && numberAt(global, "rate") > 0 {
		a.Global = &Rate{numberAt(global, "rate"), numberAt(global, "per")}
	}
	for _, version := range sortedObjects(objectAt(objectAt(d, "version_data"), "versions")) {
		for _, e := range toObjects(objectAt(version, "extended_paths")["rate_limit"]) {
			if !isTrueAt(e, "disabled") && numberAt(e, "rate") > 0 {
				a.Endpoints = append(a.Endpoints, Endpoint{textAt(e, "method"), textAt(e, "path"), Rate{numberAt(e, "rate"), numberAt(e, "per")}})
			}
		}
	}
}

// removeParts removes what connects to other systems and decides about no request.
func (l *localiser) removeParts(d object) {
	proxy := objectAt(d, "proxy")
	if discovery := objectAt(proxy, "service_discovery"); isTrueAt(discovery, "use_discovery_service") {
		discovery["use_discovery_service"] = false
		l.changes.addSkipped(l.file, "proxy.service_discovery", "no discovery service is asked: requests go to the stand-in for target_url")
	}
	if len(toList(objectAt(d, "uptime_tests")["check_list"])) > 0 {
		delete(d, "uptime_tests")
		l.changes.addSkipped(l.file, "uptime_tests", "no test request is sent")
	}
	proxy["check_host_against_uptime_tests"] = false
	for name, version := range objectAt(objectAt(d, "version_data"), "versions") {
		paths := objectAt(toObject(version), "extended_paths")
		l.removeEndpoints(paths, "virtual", "version_data.versions."+name+".extended_paths.virtual", "no JavaScript runs: requests go to the upstream")
		l.removeEndpoints(paths, "go_plugin", "version_data.versions."+name+".extended_paths.go_plugin", "plugins of single endpoints do not run")
	}
	for part, why := range map[string]string{
		"event_handlers": "no event is sent", "upstream_certificates": "the stand-ins ask for no certificate", "pinned_public_keys": "the stand-ins have other keys",
		"certificates": "the local gateway serves plain HTTP", "notifications": "nothing is notified", "client_certificates": "a rehearsal sends no client certificate",
	} {
		if !isEmpty(d[part]) {
			l.changes.addSkipped(l.file, part, why)
		}
		delete(d, part)
	}
	for part, why := range map[string]string{"upstream_auth": "the stand-ins ask for no credential"} {
		if isTrueAt(objectAt(d, part), "enabled") {
			l.changes.addSkipped(l.file, part, why)
		}
		delete(d, part)
	}
	if isTrueAt(objectAt(d, "request_signing"), "is_enabled") {
		delete(d, "request_signing")
		l.changes.addSkipped(l.file, "request_signing", "requests to the stand-ins are not signed by Tyk")
	}
	if isTrueAt(d, "enable_batch_request_support") {
		d["enable_batch_request_support"] = false
		l.changes.addSkipped(l.file, "enable_batch_request_support", "a rehearsal sends single requests")
	}
	if isTrueAt(objectAt(d, "analytics_plugin"), "enable") {
		l.changes.addSkipped(l.file, "analytics_plugin", "no analytics are recorded")
	}
	delete(d, "analytics_plugin")
	if numberAt(d, "listen_port") > 0 {
		delete(d, "listen_port")
		l.changes.addSkipped(l.file, "listen_port", "all APIs answer on one port")
	}
	if isTrueAt(proxy, "preserve_host_header") {
		proxy["preserve_host_header"] = false
		l.changes.addSkipped(l.file, "proxy.preserve_host_header", "requests carry the host of the target: the stand-ins are found by it")
	}
	if isTrueAt(objectAt(d, "CORS"), "options_passthrough") {
		l.changes.Left = append(l.changes.Left, Change{File: l.file, Part: "CORS.options_passthrough", Note: "OPTIONS requests pass without identity, as in production"})
	}
}

func (l *localiser) removeEndpoints(paths object, list, part, why string) {
	for _, e := range toObjects(paths[list]) {
		if !isTrueAt(e, "disabled") {
			l.changes.addSkipped(l.file, part, why)
			break
		}
	}
	delete(paths, list)
}

// replaceHooks points the hooks to the plugin's file.
func (l *localiser) replaceHooks(d object, a *API) {
	middleware := objectAt(d, "custom_middleware")
	for _, name := range []string{"pre", "post", "post_key_auth", "response"} {
		for _, hook := range toObjects(middleware[name]) {
			was := textAt(hook, "path")
			if isTrueAt(hook, "disabled") || was == "" {
				continue
			}
			a.canary = a.canary || textAt(hook, "name") == hooks.Canary
			if isOurs(textAt(hook, "name")) {
				hook["path"] = l.plugin
			} else {
				hook["path"] = l.findPlugin(was)
			}
			if was != hook["path"] {
				l.changes.addReplaced(l.file, "plugin", was, filepath.Base(l.plugin), "--plugin")
			}
		}
	}
}

// replaceCredentials points to the substitute for the identity providers.
func (l *localiser) replaceCredentials(d object, a *API) {
	if isTrueAt(d, "enable_jwt") {
		was := textAt(d, "jwt_source")
		p := l.findProviderOfSource(settings.DecodeJWTSource(was))
		a.provider = p.alias
		// In Tyk 5.9 and later a plain URL is read once.
		d["jwt_source"] = base64.StdEncoding.EncodeToString([]byte(p.localKeys))
		l.changes.addReplaced(l.file, "jwt_source", describeSource(was), p.localKeys, "the local OpenID provider")
		if method := textAt(d, "jwt_signing_method"); method != "rsa" {
			d["jwt_signing_method"] = "rsa"
			l.changes.addReplaced(l.file, "jwt_signing_method", method, "rsa", "the local provider signs RS256")
		}
		if uris := toList(d["jwt_jwks_uris"]); len(uris) > 0 {
			d["jwt_jwks_uris"] = []any{object{"url": p.localKeys}}
			l.changes.addReplaced(l.file, "jwt_jwks_uris", fmt.Sprintf("%d URLs", len(uris)), p.localKeys, "the local OpenID provider")
		}
	}
	if isTrueAt(d, "use_openid") {
		for i, entry := range toObjects(objectAt(d, "openid_options")["providers"]) {
			p := l.findProviderOfIssuer(textAt(entry, "issuer"))
			if i == 0 {
				a.provider = p.alias
			}
			l.changes.addReplaced(l.file, fmt.Sprintf("openid_options.providers[%d].issuer", i), redact.URL(textAt(entry, "issuer")), p.localIssuer, "the local OpenID provider")
			entry["issuer"] = p.localIssuer
		}
	}
	for member, name := range map[string]string{"use_basic_auth": "basic authentication", "use_oauth2": "Tyk's own OAuth", "enable_signature_checking": "HMAC signatures"} {
		if isTrueAt(d, member) {
			l.changes.addSkipped(l.file, member, "a rehearsal has no callers with "+name)
		}
	}
}

// describeSource never shows a key or a secret.
func describeSource(source string) string {
	if decoded := settings.DecodeJWTSource(source); strings.HasPrefix(decoded, "http://") || strings.HasPrefix(decoded, "https://") {
		return redact.URL(decoded)
	}
	if source == "" {
		return "(empty)"
	}
	return "(a key)"
}

// redactPath leaves out all but the host: the path of a webhook is a secret.
func redactPath(u *url.URL) string {
	text := u.Scheme + "://" + u.Host
	if len(u.Path) > 1 || u.RawQuery != "" {
		text += "/…"
	}
	return text
}

func (l *localiser) findProviderOfSource(source string) identityProvider {
	for _, p := range l.providers {
		if slices.Contains(p.sources, source) {
			return p
		}
	}
	if len(l.providers) > 0 {
		return l.providers[0]
	}
	return identityProvider{}
}

func (l *localiser) findProviderOfIssuer(issuer string) identityProvider {
	for _, p := range l.providers {
		if p.issuer == issuer {
			return p
		}
	}
	if len(l.providers) > 0 {
		return l.providers[0]
	}
	return identityProvider{}
}

// replaceTargets makes all requests leave through the local Envoy, which knows the hosts.
func (l *localiser) replaceTargets(d object) {
	proxy := objectAt(d, "proxy")
	l.replaceTarget(proxy, "target_url", "proxy.target_url")
	targets := toList(proxy["target_list"])
	for i := range targets {
		if target, isText := targets[i].(string); isText {
			targets[i] = l.addHost(target, fmt.Sprintf("proxy.target_list[%d]", i))
		}
	}
	for _, name := range sortedKeys(objectAt(objectAt(d, "version_data"), "versions")) {
		version := objectAt(objectAt(objectAt(d, "version_data"), "versions"), name)
		part := "version_data.versions." + name
		l.replaceTarget(version, "override_target", part+".override_target")
		for i, rewrite := range toObjects(objectAt(version, "extended_paths")["url_rewrites"]) {
			where := fmt.Sprintf("%s.extended_paths.url_rewrites[%d]", part, i)
			l.replaceTarget(rewrite, "rewrite_to", where+".rewrite_to")
			for j, trigger := range toObjects(rewrite["triggers"]) {
				l.replaceTarget(trigger, "rewrite_to", fmt.Sprintf("%s.triggers[%d].rewrite_to", where, j))
			}
		}
	}
	transport := objectAt(proxy, "transport")
	if transport == nil {
		transport = object{}
		proxy["transport"] = transport
	}
	if was := textAt(transport, "proxy_url"); was != "" {
		l.changes.addReplaced(l.file, "proxy.transport.proxy_url", redact.URL(was), l.proxyURL, "the local Envoy")
	}
	transport["proxy_url"] = l.proxyURL
}

func (l *localiser) replaceTarget(holder object, member, part string) {
	if was := textAt(holder, member); was != "" {
		holder[member] = l.addHost(was, part)
	}
}

// addHost notes the host of a target, and gives the target for the copy.
func (l *localiser) addHost(target, part string) string {
	full := strings.TrimSpace(target)
	if !strings.Contains(full, "://") {
		if strings.HasPrefix(full, "/") || full == "" {
			return target // a path alone
		}
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Host == "" || u.Scheme == "tyk" || u.Scheme == "env" { // env: a variable without a value, which Tyk cannot forward to
		return target
	}
	note := "the local Envoy and a stand-in for the service"
	switch u.Scheme {
	case "http", "h2c", "ws":
	default:
		note += "; " + u.Scheme + " is sent as http"
		if u.Port() == "" && u.Scheme == "https" {
			u.Host = net.JoinHostPort(u.Hostname(), "443")
		}
	}
	u.Scheme = "http"
	l.found.hosts[strings.TrimSuffix(strings.ToLower(u.Host), ":80")] = true
	l.changes.addReplaced(l.file, part, redact.URL(target), l.proxyURL, note)
	return u.String()
}

// readOpenAPI copies the OpenAPI form of a definition. The gateway routes by the classic form.
func (l *localiser) readOpenAPI(name string) error {
	base := filepath.Base(name)
	data, err := readfile.Read(name, maxDefinition)
	if errors.Is(err, os.ErrNotExist) {
		l.changes.addSkipped(base, "the whole file", "is_oas is set, and this file is absent: the gateway runs the classic form alone")
		return nil
	}
	if err != nil {
		return err
	}
	whole, err := decodeObject(name, data) // the gateway puts no values of env:// into this form
	if err != nil {
		return err
	}
	extension := objectAt(whole, "x-tyk-api-gateway")
	for _, id := range sortedKeys(objectAt(objectAt(extension, "middleware"), "operations")) {
		operation := objectAt(objectAt(objectAt(extension, "middleware"), "operations"), id)
		for _, part := range []string{"virtualEndpoint", "postPlugins"} {
			if !isEmpty(operation[part]) {
				l.changes.addSkipped(base, "middleware.operations."+id+"."+part, "it does not run: requests go to the upstream")
				delete(operation, part)
			}
		}
	}
	global := objectAt(objectAt(extension, "middleware"), "global")
	for _, name := range sortedKeys(global) {
		hooks := toObjects(global[name])
		if hooks == nil {
			hooks = toObjects(toObject(global[name])["plugins"]) // the older form
		}
		for _, hook := range hooks {
			if isOurs(textAt(hook, "functionName")) && textAt(hook, "path") != "" {
				hook["path"] = l.plugin // as in the classic form
			}
		}
	}
	upstream := objectAt(extension, "upstream")
	for _, part := range []string{"serviceDiscovery", "authentication", "mutualTLS", "certificatePinning", "test"} {
		if !isEmpty(upstream[part]) {
			l.changes.addSkipped(base, "upstream."+part, "it does not run")
			delete(upstream, part)
		}
	}
	l.listOtherAddresses(base, "", whole)
	l.found.files[base], err = json.MarshalIndent(whole, "", "  ")
	return err
}

// listOtherAddresses lists the addresses that are left: nothing in the copy connects to them.
func (l *localiser) listOtherAddresses(file, path string, value any) {
	switch v := value.(type) {
	case object:
		for _, key := range sortedKeys(v) {
			l.listOtherAddresses(file, strings.TrimPrefix(path+"."+key, "."), v[key])
		}
	case []any:
		for i, entry := range v {
			l.listOtherAddresses(file, fmt.Sprintf("%s[%d]", path, i), entry)
		}
	case string:
		u, err := url.Parse(v)
		if err != nil || u.Host == "" || u.Scheme == "tyk" || isLoopback(u.Hostname()) || strings.HasSuffix(path, "target_url") || strings.Contains(path, "target_list") ||
			strings.HasSuffix(path, "override_target") || strings.HasSuffix(path, "rewrite_to") {
			return
		}
		l.changes.Left = append(l.changes.Left, Change{File: file, Part: path, Was: redactPath(u), Note: "nothing in the copy connects to it"})
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
