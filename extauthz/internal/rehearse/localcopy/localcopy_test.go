package localcopy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
)

// files are a small deployment. Tests replace some of them.
var files = map[string]string{
	"rehearsal.yaml": `
gateway: {conf: tyk.conf, apis: apis, policies: policies.json, plugin: plugin.yaml}
authorizer: {config: meshpass.yaml}
users: {alice: {claims: {sub: alice}}}
load: [{name: one, as: alice, path: /a/x, burst: 1}]
`,
	"tyk.conf":      `{"hash_keys": true, "enable_redis_rolling_limiter": true}`,
	"policies.json": `{"gold": {"rate": 5, "per": 60}}`,
	"apis/a.json":   `{"api_id": "a", "enable_jwt": true, "jwt_source": "http://idp.example/keys", "proxy": {"listen_path": "/a/", "target_url": "http://a.shop.svc.cluster.local/"}}`,
	"plugin.yaml": `
issuer: https://tyk.example
audience: shop.example
workload: spiffe://cluster.local/ns/edge/sa/tyk
keys: {dir: keys}
idps: [{alias: demo, issuer: "http://idp.example", audiences: [shop], subject: sub}]
secretFile: hmac
upstreams: ["*.svc.cluster.local"]
`,
	"meshpass.yaml": `
listeners: [{name: sidecar, grpc: "0.0.0.0:9000", caller: principal, callee: principal}]
tls: {mode: mesh}
trust: [{issuer: "https://tyk.example", audience: shop.example, jwks: {file: jwks.json}, subjects: [demo], requesters: [ns/edge/sa/tyk]}]
policies: {dirs: [{path: policies}]}
`,
	"policies/a.yaml": "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: a}\nspec:\n  targets: {workloads: [ns/shop/sa/a]}\n  rules: [{name: all, effect: allow, to: {paths: [\"/**\"]}, from: {workloads: [\"ns/edge/sa/tyk\"]}}]\n",
}

// prepare writes the files with some of them replaced, and prepares their copy.
func prepare(t *testing.T, replaced map[string]string) (*localcopy.Copy, error) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("TMPDIR", t.TempDir())
	for name, text := range files {
		if other, ok := replaced[name]; ok {
			text = other
		}
		writeFile(t, filepath.Join(dir, name), text)
	}
	for name, text := range replaced {
		if _, known := files[name]; !known {
			writeFile(t, filepath.Join(dir, name), text)
		}
	}
	p, err := plan.Read(filepath.Join(dir, "rehearsal.yaml"), true)
	if err != nil {
		t.Fatal(err)
	}
	c, err := localcopy.Prepare(p, localcopy.Programs{Plugin: "/plugins/identity.so"})
	if err == nil {
		err = c.CheckCallers(p)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if left, err := filepath.Glob(filepath.Join(os.TempDir(), "*")); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	return c, err
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file that cannot be used is an error with its place, before any program starts.
func TestBrokenFiles(t *testing.T) {
	definition := files["apis/a.json"]
	for name, row := range map[string]struct{ file, text, want string }{
		"definition that is no JSON":     {"apis/a.json", "{\n  \"api_id\": \"a\",\n  ]\n", "a.json:3:3: invalid character ']'"},
		"definition that is cut":         {"apis/a.json", definition[:40], "a.json:1:40: unexpected EOF"},
		"definition that is a list":      {"apis/a.json", "[]", "a.json: want a JSON object, not array"},
		"no API definition":              {"apis/a.json", `{"kind": "other"}`, "a.json: no api_id: not an API definition of Tyk"},
		"no listen path":                 {"apis/a.json", `{"api_id": "a", "proxy": {}}`, "a.json: no proxy.listen_path"},
		"member in two spellings":        {"apis/a.json", strings.Replace(definition, `"api_id"`, `"API_ID": "b", "api_id"`, 1), `a.json: member "API_ID" is there in two spellings`},
		"one api_id twice":               {"apis/b.json", strings.Replace(definition, "/a/", "/b/", 1), `b.json: api_id "a" is in a.json too`},
		"one listen path twice":          {"apis/b.json", strings.Replace(definition, `"api_id": "a"`, `"api_id": "b"`, 1), `b.json: listen_path "/a/" is in a.json too`},
		"tyk.conf that is no JSON":       {"tyk.conf", "{,}", "tyk.conf:1:2: invalid character ','"},
		"policies that are a list":       {"policies.json", "[]", "policies.json: want a JSON object, not array"},
		"policy that is a text":          {"policies.json", `{"gold": "x"}`, `policies.json: policy "gold": want an object`},
		"plugin's file with a mistake":   {"plugin.yaml", strings.Replace(files["plugin.yaml"], "secretFile", "secretfile", 1), `plugin.yaml:7:1: unknown key "secretfile"`},
		"authorizer's file: unknown key": {"meshpass.yaml", files["meshpass.yaml"] + "polices: {}\n", `meshpass.yaml:6:1: unknown key "polices"`},
		"another issuer":                 {"meshpass.yaml", strings.Replace(files["meshpass.yaml"], "https://tyk.example", "https://other.example", 1), "trust: no entry has the issuer of the plugin, https://tyk.example"},
		"algorithm of no use here":       {"meshpass.yaml", strings.Replace(files["meshpass.yaml"], "jwks:", "algorithms: [RS256], jwks:", 1), "trust[0].algorithms: a rehearsal signs with "},
		"folder of policies is absent":   {"meshpass.yaml", strings.Replace(files["meshpass.yaml"], "path: policies", "path: /etc/absent/shop", 1), "policies.dirs[0].path: there is no folder /etc/absent/shop: name it in the rehearsal file, as authorizer: {policies: {shop: FOLDER}}"},
		"user of an unknown provider":    {"rehearsal.yaml", strings.Replace(files["rehearsal.yaml"], "alice: {claims", "alice: {idp: dema, claims", 1), `users.alice: idp: want one of demo, as in the plugin's file, not "dema"`},
		"key of an unknown policy":       {"rehearsal.yaml", files["rehearsal.yaml"] + "keys: {partner: {policies: [golf]}}\n", `policies.json has no policy "golf" (did you mean "gold"?)`},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := prepare(t, map[string]string{row.file: row.text}); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v\nwant %s", err, row.want)
			}
		})
	}
}

// An API that would be answered in another way than in production does not run, and is listed with the part and the reason.
func TestAPIsThatDoNotRun(t *testing.T) {
	for part, member := range map[string]string{
		"custom_middleware_bundle":  `"custom_middleware_bundle": "b.zip"`,
		"use_mutual_tls_auth":       `"use_mutual_tls_auth": true`,
		"external_oauth":            `"external_oauth": {"enabled": true}`,
		"graphql":                   `"graphql": {"enabled": true, "execution_mode": "executionEngine"}`,
		"protocol":                  `"protocol": "tcp"`,
		"custom_middleware.driver":  `"custom_middleware": {"driver": "otto", "pre": [{"name": "f", "path": "f.js"}]}`,
		"custom_middleware.post[0]": `"custom_middleware": {"driver": "goplugin", "post": [{"name": "Mine", "path": "mine.so"}]}`,
	} {
		t.Run(part, func(t *testing.T) {
			c, err := prepare(t, map[string]string{"apis/b.json": `{"api_id": "b", "proxy": {"listen_path": "/b/", "target_url": "http://b/"}, ` + member + `}`})
			if err != nil {
				t.Fatal(err)
			}
			listed := slices.ContainsFunc(c.Changes.NotRun, func(change localcopy.Change) bool {
				return change.File == "b.json" && change.Part == part && strings.HasSuffix(change.Note, ": the API does not run in the copy")
			})
			if !listed || len(c.APIs) != 1 || c.APIs[0].ID != "a" {
				t.Errorf("APIs %v, not run %v", c.APIs, c.Changes.NotRun)
			}
		})
	}
	_, err := prepare(t, map[string]string{"apis/a.json": strings.Replace(files["apis/a.json"], `"enable_jwt"`, `"protocol": "tcp", "enable_jwt"`, 1)})
	if err == nil || !strings.Contains(err.Error(), "no API definition (*.json) that can run\n  a.json: protocol: a rehearsal sends HTTP") {
		t.Errorf("got %v", err)
	}
}

// The OpenAPI form beside a classic definition, keys in definitions, and hosts outside of the mesh are listed as what they are.
func TestListedChanges(t *testing.T) {
	c, err := prepare(t, map[string]string{
		"apis/a.json":      `{"api_id": "a", "is_oas": true, "enable_jwt": true, "jwt_source": "c2VjcmV0", "jwt_signing_method": "hmac", "config_data": {"help": "https://help.example", "errors": "https://pass8@errors.example/1", "hook": "https://hooks.example/services/pass9"}, "proxy": {"listen_path": "/a/", "target_url": "https://user:password@api.example.com/v1?key=pass1", "target_list": ["https://pass0@b.example/v1"], "service_discovery": {"query_endpoint": "http://sd.example/?token=pass2#pass3"}}}`,
		"apis/b.json":      `{"api_id": "b", "use_openid": true, "openid_options": {"providers": [{"issuer": "http://u:pass4@idp.example"}]}, "proxy": {"listen_path": "/b/", "target_url": "http://a.shop.svc.cluster.local/"}}`,
		"tyk.conf":         `{"hash_keys": true, "enable_redis_rolling_limiter": true, "secret": "pass5", "storage": {"host": "redis://u:pass6@redis", "password": "pass7"}}`,
		"apis/a-oas.json":  `{"x-tyk-api-gateway": {"middleware": {"operations": {"getA": {"virtualEndpoint": {"enabled": true}}}}}}`,
		"apis/c-oas.json":  `{}`,
		"apis/secret.json": `{"api_id": "s", "name": "env://ABSENT", "tags": ["vault://x"], "proxy": {"listen_path": "/s/", "target_url": "http://a.shop.svc.cluster.local:8080/"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, change := range slices.Concat(c.Changes.Replaced, c.Changes.NotRun, c.Changes.Left) {
		all = append(all, change.String())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{
		"a-oas.json: middleware.operations.getA.virtualEndpoint: it does not run", "c-oas.json: the whole file: ", "a.json: jwt_source: (a key) -> http://127.",
		"a.json: jwt_signing_method: hmac -> rsa", "a.json: proxy.target_url: https://api.example.com/v1 -> http://127.", "https is sent as http",
		"workloads: api.example.com:443: it is outside of the mesh", "a.json: config_data.help: https://help.example: nothing in the copy connects to it",
		"config_data.errors: https://errors.example/…: ", "config_data.hook: https://hooks.example/…: ",
		`secret.json: env://ABSENT: gateway.env has no value for it: the text stays as it is`, `secret.json: values "vault://…": the store is not read`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not listed: %s", want)
		}
	}
	if regexp.MustCompile(`pass(word)?[0-9@]`).MatchString(text) || strings.Contains(text, "c2VjcmV0") {
		t.Error("a secret is listed")
	}
	if t.Failed() {
		t.Log(text)
	}
}

// Values of env:// are put in as the gateway does: at any place of a classic definition, and only if there is one.
func TestVariablesOfDefinitions(t *testing.T) {
	_, err := prepare(t, map[string]string{
		"rehearsal.yaml":  strings.Replace(files["rehearsal.yaml"], "apis: apis,", "apis: apis, env: {NAME: shop, HOST: b.shop.svc.cluster.local, EMPTY: ''},", 1),
		"apis/a.json":     `{"api_id": "a", "is_oas": true, "name": "the env://NAME", "slug": "env://EMPTY", "org_id": "env://ABSENT", "proxy": {"listen_path": "/a/", "target_url": "http://env://HOST"}}`,
		"apis/a-oas.json": `{"info": {"title": "env://NAME"}}`,
		"apis/b.json":     `{"api_id": "b", "proxy": {"listen_path": "/b/", "target_url": "env://ABSENT"}}`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, wants := range map[string][]string{
		"a.json":     {`"name": "the shop"`, `"slug": "env://EMPTY"`, `"org_id": "env://ABSENT"`, `"target_url": "http://b.shop.svc.cluster.local"`},
		"a-oas.json": {`"title": "env://NAME"`},
		"b.json":     {`"target_url": "env://ABSENT"`},
	} {
		copied, err := filepath.Glob(filepath.Join(os.TempDir(), "*", "apis", name))
		if err != nil || len(copied) != 1 {
			t.Fatal(copied, err)
		}
		data, err := os.ReadFile(copied[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(string(data), want) {
				t.Errorf("%s: no %s in %s", name, want, data)
			}
		}
	}
}
