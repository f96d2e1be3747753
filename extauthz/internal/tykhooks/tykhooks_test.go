package tykhooks_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/tykhooks"
)

func prepare(t *testing.T, text string, options tykhooks.Options) tykhooks.File {
	t.Helper()
	files, err := tykhooks.Prepare([]tykhooks.Input{{Name: "f", Text: []byte(text)}}, options)
	if err != nil {
		t.Fatal(err)
	}
	return files[0]
}

const (
	stripEntry = `{"name": "StripIdentity", "path": "plugins/identity.so"}`
	signEntry  = `{"name": "SignIdentity", "path": "plugins/identity.so"}`
	guardEntry = `{"name": "GuardUpstream", "path": "plugins/identity.so"}`
)

// classic is a classic definition in one line.
func classic(members string) string {
	return strings.TrimSuffix(`{"api_id": "a", `+members, ", ") + `}`
}

// Each file is complete afterwards, and everything else is as it was.
func TestAdd(t *testing.T) {
	for name, row := range map[string]struct{ before, after string }{
		"classic, no section": {classic(`"z": 1.50`),
			classic(`"z": 1.50, "custom_middleware": {"driver": "goplugin", "pre": [` + stripEntry + `], "post_key_auth": [` + signEntry + `], "post": [` + guardEntry + `]}`)},
		"classic, Tyk's empty lists": {classic(`"custom_middleware": {"pre": [], "post": null, "post_key_auth": [], "auth_check": {"name": "", "path": ""}, "response": [], "driver": ""}, "z": "<>"`),
			classic(`"custom_middleware": {"pre": [` + stripEntry + `], "post": [` + guardEntry + `], "post_key_auth": [` + signEntry + `], "auth_check": {"name": "", "path": ""}, "response": [], "driver": "goplugin"}, "z": "<>"`)},
		"classic, others, one of ours, its path": {classic(`"custom_middleware": {"driver": "goplugin", "pre": [{"name": "X", "path": "x.so"}], "post_key_auth": [{"name": "SignIdentity", "path": "/p.so"}], "post": [{"name": "Y", "path": "x.so"}]}`),
			classic(`"custom_middleware": {"driver": "goplugin", "pre": [{"name": "StripIdentity", "path": "/p.so"}, {"name": "X", "path": "x.so"}], "post_key_auth": [{"name": "SignIdentity", "path": "/p.so"}], "post": [{"name": "Y", "path": "x.so"}, {"name": "GuardUpstream", "path": "/p.so"}]}`)},
		"export of the Dashboard": {`{"api_definition":{"api_id":"a"}}`,
			`{"api_definition":{"api_id":"a","custom_middleware":{"driver":"goplugin","pre":[{"name":"StripIdentity","path":"plugins/identity.so"}],"post_key_auth":[{"name":"SignIdentity","path":"plugins/identity.so"}],"post":[{"name":"GuardUpstream","path":"plugins/identity.so"}]}}}`},
		"OpenAPI, no middleware": {`{"openapi":"3.0.3","x-tyk-api-gateway":{"info":{"id":"a"}}}`,
			`{"openapi":"3.0.3","x-tyk-api-gateway":{"info":{"id":"a"},"middleware":{"global":{"pluginConfig":{"driver":"goplugin"},"prePlugins":[{"enabled":true,"functionName":"StripIdentity","path":"plugins/identity.so"}],"postAuthenticationPlugins":[{"enabled":true,"functionName":"SignIdentity","path":"plugins/identity.so"}],"postPlugins":[{"enabled":true,"functionName":"GuardUpstream","path":"plugins/identity.so"}]}}}}`},
		"OpenAPI, with settings": {`{"openapi":"3.0.3","x-tyk-api-gateway":{"middleware":{"global":{"cors":{},"pluginConfig":{"data":{"enabled":true}},"prePlugins":[]}}}}`,
			`{"openapi":"3.0.3","x-tyk-api-gateway":{"middleware":{"global":{"cors":{},"pluginConfig":{"data":{"enabled":true},"driver":"goplugin"},"prePlugins":[{"enabled":true,"functionName":"StripIdentity","path":"plugins/identity.so"}],"postAuthenticationPlugins":[{"enabled":true,"functionName":"SignIdentity","path":"plugins/identity.so"}],"postPlugins":[{"enabled":true,"functionName":"GuardUpstream","path":"plugins/identity.so"}]}}}}`},
		"Operator": {`# ours
apiVersion: tyk.tyk.io/v1alpha1
kind: ApiDefinition
metadata: {name: orders}
spec:
  name: orders   # the name
  proxy:
    target_url: http://orders
    listen_path: /orders
  # the end
---
apiVersion: v1
kind: Service
metadata: {name: other}
`, `# ours
apiVersion: tyk.tyk.io/v1alpha1
kind: ApiDefinition
metadata: {name: orders}
spec:
  name: orders   # the name
  proxy:
    target_url: http://orders
    listen_path: /orders
  custom_middleware:
    driver: goplugin
    pre:
      - name: StripIdentity
        path: plugins/identity.so
    post_key_auth:
      - name: SignIdentity
        path: plugins/identity.so
    post:
      - name: GuardUpstream
        path: plugins/identity.so
  # the end
---
apiVersion: v1
kind: Service
metadata: {name: other}
`},
		"Operator, OpenAPI in a ConfigMap": {`apiVersion: v1
kind: ConfigMap
metadata: {name: orders, namespace: edge}
data:
  orders.json: |
    {
      "openapi": "3.0.3",
      "x-tyk-api-gateway": {
        "info": {"id": "a"}
      }
    }
---
apiVersion: tyk.tyk.io/v1alpha1
kind: TykOasApiDefinition
metadata: {name: orders, namespace: edge}
spec:
  tykOAS: {configmapRef: {name: orders, keyName: orders.json}}
`, `apiVersion: v1
kind: ConfigMap
metadata: {name: orders, namespace: edge}
data:
  orders.json: |
    {
      "openapi": "3.0.3",
      "x-tyk-api-gateway": {
        "info": {"id": "a"},
        "middleware": {
          "global": {
            "pluginConfig": {
              "driver": "goplugin"
            },
            "prePlugins": [
              {
                "enabled": true,
                "functionName": "StripIdentity",
                "path": "plugins/identity.so"
              }
            ],
            "postAuthenticationPlugins": [
              {
                "enabled": true,
                "functionName": "SignIdentity",
                "path": "plugins/identity.so"
              }
            ],
            "postPlugins": [
              {
                "enabled": true,
                "functionName": "GuardUpstream",
                "path": "plugins/identity.so"
              }
            ]
          }
        }
      }
    }
---
apiVersion: tyk.tyk.io/v1alpha1
kind: TykOasApiDefinition
metadata: {name: orders, namespace: edge}
spec:
  tykOAS: {configmapRef: {name: orders, keyName: orders.json}}
`},
	} {
		t.Run(name, func(t *testing.T) {
			file := prepare(t, row.before, tykhooks.Options{})
			if string(file.After) != row.after || file.Definitions[0].Complete || len(file.Definitions[0].Problems) > 0 {
				t.Errorf("%+v\ngot\n%s\nwant\n%s", file.Definitions, file.After, row.after)
			}
			again := prepare(t, row.after, tykhooks.Options{})
			if !tykhooks.NewReport([]tykhooks.File{again}).IsComplete() || string(again.After) != row.after {
				t.Errorf("the second time: %+v\n%s", again.Definitions, again.After)
			}
		})
	}
}

// A definition that contradicts the hooks is rejected, and stays as it is.
func TestContradictions(t *testing.T) {
	section := func(members string) string { return classic(`"custom_middleware": {` + members + `}`) }
	open := func(global string) string {
		return `{"openapi": "3.0.3", "x-tyk-api-gateway": {"info": {"id": "a"}, "middleware": {"global": {` + global + `}}}}`
	}
	const driver = `"driver": "goplugin", `
	for text, want := range map[string]string{
		classic(`"custom_middleware_bundle": "b.zip"`):                                                                                    `the bundle "b.zip" replaces the lists`,
		classic(`"protocol": "tcp"`):                                                                                                      `protocol "tcp": Tyk runs no hooks`,
		section(`"driver": "otto"`):                                                                                                       `the driver is "otto", and an API has one driver`,
		section(`"pre": [{"name": "X", "path": "x.js"}]`):                                                                                 `X is listed without a driver`,
		section(driver + `"pre": [{"name": "StripIdentity", "path": "p.so", "disabled": true}]`):                                          `custom_middleware.pre lists StripIdentity, and it is disabled`,
		section(driver + `"pre": [{"name": "StripIdentity", "path": ""}]`):                                                                `StripIdentity without a path`,
		section(driver + `"pre": [` + stripEntry + `, ` + signEntry + `]`):                                                                `custom_middleware.pre lists SignIdentity, which works in custom_middleware.post_key_auth only`,
		section(driver + `"post": [` + guardEntry + `, ` + guardEntry + `]`):                                                              `custom_middleware.post lists GuardUpstream twice`,
		section(driver + `"auth_check": ` + signEntry):                                                                                    `custom_middleware.auth_check lists SignIdentity`,
		section(driver + `"response": [` + guardEntry + `]`):                                                                              `custom_middleware.response lists GuardUpstream`,
		section(driver + `"post": [` + guardEntry + `, {"name": "Y", "path": "y.so"}]`):                                                   `custom_middleware.post: the last hook must be GuardUpstream`,
		section(driver + `"pre": [` + stripEntry + `], "post": [{"name": "GuardUpstream", "path": "other.so"}]`):                          `in different files (other.so, plugins/identity.so)`,
		classic(`"version_data": {"versions": {"v1": {"extended_paths": {"go_plugin": [{"path": "/x", "func_name": "SignIdentity"}]}}}}`): `extended_paths.go_plugin lists SignIdentity`,
		open(`"pluginConfig": {"bundle": {"enabled": true, "path": "b.zip"}}`):                                                            `the bundle "b.zip" replaces the lists`,
		open(`"pluginConfig": {"driver": "python"}`):                                                                                      `the driver is "python"`,
		open(`"prePlugins": [{"functionName": "StripIdentity", "path": "p.so"}]`):                                                         `global.prePlugins lists StripIdentity, and it is disabled`,
		open(`"prePlugin": {"plugins": [{"enabled": true, "functionName": "StripIdentity", "path": "p.so"}]}`):                            `middleware.global.prePlugin is a deprecated form`,
		open(`"postPlugins": [{"enabled": true, "functionName": "SignIdentity", "path": "p.so"}]`):                                        `global.postPlugins lists SignIdentity, which works in global.postAuthenticationPlugins only`,
		`{"openapi": "3.0.3", "x-tyk-api-gateway": {"middleware": {"operations": {"x": {"postPlugins": [{"enabled": true, "functionName": "GuardUpstream", "path": "p.so"}]}}}}}`: `operations.postPlugins lists GuardUpstream`,
	} {
		file := prepare(t, text, tykhooks.Options{})
		got := strings.Join(file.Definitions[0].Problems, "\n")
		if !strings.Contains(got, want) || string(file.After) != text || file.Definitions[0].Complete {
			t.Errorf("%s\ngot %q, want %q", text, got, want)
		}
		if err := tykhooks.NewReport([]tykhooks.File{file}).Rejection(); err == nil || !strings.Contains(err.Error(), "f: API ") {
			t.Errorf("%s: got %v", text, err)
		}
	}
	if file := prepare(t, section(driver+`"pre": [`+stripEntry+`]`), tykhooks.Options{Path: "/other.so"}); len(file.Definitions[0].Problems) != 1 {
		t.Errorf("another path: %+v", file.Definitions)
	}
}

// A switched off bundle, disabled hooks of others and an authentication plugin do not contradict the hooks.
func TestNoContradictions(t *testing.T) {
	for _, text := range []string{
		classic(`"custom_middleware_bundle": "b.zip", "custom_middleware_bundle_disabled": true`),
		classic(`"protocol": "h2c"`),
		classic(`"custom_middleware": {"driver": "goplugin", "auth_check": {"name": "Login", "path": "x.so"}, "post": [{"name": "X", "path": "x.so", "disabled": true}]}`),
		`{"openapi": "3.0.3", "x-tyk-api-gateway": {"middleware": {"global": {"pluginConfig": {"bundle": {"enabled": false, "path": "b.zip"}}}}}}`,
	} {
		if file := prepare(t, text, tykhooks.Options{}); len(file.Definitions[0].Problems) > 0 || string(file.After) == text {
			t.Errorf("%s: %+v", text, file.Definitions)
		}
	}
}

func TestNotes(t *testing.T) {
	text := classic(`"enable_jwt": true, "is_oas": true, "CORS": {"options_passthrough": true}, "version_definition": {"versions": {"v2": "b"}}`)
	got := strings.Join(prepare(t, text, tykhooks.Options{}).Definitions[0].Notes, "\n")
	for _, want := range []string{"definitions of their own, which need the hooks too: b", "CORS.options_passthrough", "classic half", "enable_context_vars is off"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// The notes of the OpenAPI form.
func TestNotesOfOpenAPI(t *testing.T) {
	const note = "middleware.global.contextVariables.enabled is off"
	for auth, want := range map[string]bool{
		`"securitySchemes": {"jwt": {"enabled": true, "source": "https://a/"}}`: true,
		`"oidc": {"enabled": true}`:                     true,
		`"securitySchemes": {"key": {"enabled": true}}`: false,
	} {
		for context, off := range map[string]bool{`{}`: true, `{"contextVariables": {"enabled": false}}`: true, `{"contextVariables": {"enabled": true}}`: false} {
			text := `{"openapi": "3.0.3", "x-tyk-api-gateway": {"server": {"authentication": {` + auth + `}}, "middleware": {"global": ` + context + `}}}`
			got := strings.Join(prepare(t, text, tykhooks.Options{}).Definitions[0].Notes, "\n")
			if strings.Contains(got, note) != (want && off) {
				t.Errorf("%s: got %q", text, got)
			}
		}
	}
}

// The answer of kubectl for several objects is edited as a whole.
func TestListOfObjects(t *testing.T) {
	const item = "- apiVersion: tyk.tyk.io/v1alpha1\n  kind: ApiDefinition\n  metadata:\n    name: a\n  spec:\n    name: a\n"
	const hooks = "    custom_middleware:\n      driver: goplugin\n      pre:\n      - name: StripIdentity\n        path: plugins/identity.so\n" +
		"      post_key_auth:\n      - name: SignIdentity\n        path: plugins/identity.so\n      post:\n      - name: GuardUpstream\n        path: plugins/identity.so\n"
	file := prepare(t, "apiVersion: v1\nkind: List\nitems:\n"+item+item, tykhooks.Options{})
	if want := "apiVersion: v1\nkind: List\nitems:\n" + item + hooks + item + hooks; string(file.After) != want || len(file.Definitions) != 2 {
		t.Errorf("%+v, got\n%s\nwant\n%s", file.Definitions, file.After, want)
	}
}

// A file that cannot be edited is an error.
func TestErrors(t *testing.T) {
	const operator = "apiVersion: tyk.tyk.io/v1alpha1\nkind: TykOasApiDefinition\nmetadata: {name: a, namespace: edge}\nspec: {tykOAS: {configmapRef: {name: m, keyName: k}}}\n"
	for text, want := range map[string]string{
		``:                  "want an API definition of Tyk",
		`{"a": 1}`:          "want an API definition of Tyk",
		`[{"api_id": "a"}]`: "f:1:1: a list of API definitions: Tyk reads one definition from a file",
		`{"apis": [{"api_definition": {"api_id": "a"}}], "pages": 1}`: "f:1:10: a list of API definitions",
		`{"openapi": "3.0.3"}`: "f:1:1: the OpenAPI document has no object x-tyk-api-gateway",
		operator:               `f:1:1: its OpenAPI document is in ConfigMap edge/m, key "k"`,
		`{"api_id": "a", "Custom_Middleware": {}}`:                                           `f:1:17: "Custom_Middleware": write it as custom_middleware`,
		`{"api_id": "a", "custom_middleware": []}`:                                           "want an object",
		`{"api_id": "a", "custom_middleware": {"driver": "goplugin", "pre": {"name": "x"}}}`: "pre: want a list",
	} {
		if _, err := tykhooks.Prepare([]tykhooks.Input{{Name: "f", Text: []byte(text)}}, tykhooks.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// The shipped definitions are complete.
func TestShippedDefinitions(t *testing.T) {
	paths, err := filepath.Glob("../../../manifests/tyk/apis/*.json")
	if err != nil || len(paths) < 5 {
		t.Fatal(err, paths)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file := prepare(t, string(text), tykhooks.Options{Path: tykhooks.DefaultPath})
		if !file.Definitions[0].Complete || !slices.Equal(file.Before, file.After) {
			t.Errorf("%s: %+v", path, file.Definitions)
		}
	}
}
