package app

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Variables are for addresses and paths. A new key with them belongs into this list and into the docs.
func TestKeysWithVariables(t *testing.T) {
	want := []string{
		"audit.chain.key", "audit.output", "debug", "envoy.allowedHeaders", "listeners[].grpc", "listeners[].services", "ops", "policies.dirs[].path", "policies.overrides",
		"revocation.file", "revocation.redis.address", "revocation.redis.caFile", "revocation.redis.passwordFile",
		"tls.certFile", "tls.clientCAFile", "tls.keyFile", "tracing.otlp.endpoint",
		"trust[].jwks.caFile", "trust[].jwks.file", "trust[].jwks.seed", "trust[].jwks.url",
	}
	got := strictyaml.VariableKeys(reflect.TypeFor[config]())
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	docs, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := "| authorizer | `" + strings.Join(want, "`, `") + "` |\n"; !strings.Contains(string(docs), row) {
		t.Errorf("docs/configuration.md lacks the line\n%s", row)
	}
}

// Every key with variables gets the values of its variables.
func TestVariablesOfTheAuthorizer(t *testing.T) {
	t.Setenv("MESHPASS_TEST_VALUE", "a: b")
	const text = `
listeners: [{grpc: "${MESHPASS_TEST_VALUE}", services: "${MESHPASS_TEST_VALUE}"}]
ops: "${MESHPASS_TEST_VALUE}"
debug: "${MESHPASS_TEST_VALUE}"
tls: {certFile: "${MESHPASS_TEST_VALUE}", keyFile: "${MESHPASS_TEST_VALUE}", clientCAFile: "${MESHPASS_TEST_VALUE}"}
trust: [{jwks: {file: "${MESHPASS_TEST_VALUE}", url: "${MESHPASS_TEST_VALUE}", caFile: "${MESHPASS_TEST_VALUE}", seed: "${MESHPASS_TEST_VALUE}"}}]
policies: {dirs: [{path: "${MESHPASS_TEST_VALUE}"}], overrides: "${MESHPASS_TEST_VALUE}"}
revocation: {file: "${MESHPASS_TEST_VALUE}", redis: {address: "${MESHPASS_TEST_VALUE}", caFile: "${MESHPASS_TEST_VALUE}", passwordFile: "${MESHPASS_TEST_VALUE}"}}
audit: {output: "${MESHPASS_TEST_VALUE}", chain: {key: "${MESHPASS_TEST_VALUE}"}}
envoy: {allowedHeaders: "${MESHPASS_TEST_VALUE}"}
tracing: {otlp: {endpoint: "${MESHPASS_TEST_VALUE}"}}
`
	if used, keys := strings.Count(text, "${"), len(strictyaml.VariableKeys(reflect.TypeFor[config]())); used != keys {
		t.Errorf("%d keys have variables, and the text has %d", keys, used)
	}
	var want config
	file, err := strictyaml.NewChecker("f.yaml", []byte(strings.ReplaceAll(text, "${MESHPASS_TEST_VALUE}", "a: b")), &want)
	if err != nil || file.Err() != nil {
		t.Fatal(err, file.Err())
	}
	var got config
	if file, err = strictyaml.NewChecker("f.yaml", []byte(text), &got); err != nil || file.Err() != nil {
		t.Fatal(err, file.Err())
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// An authorizer serves with addresses and paths of the environment, and a reload reads them too.
func TestVariablesWhileServing(t *testing.T) {
	f := newFiles(t, `listeners: [{name: sidecar, grpc: "${MESHPASS_TEST_IP}:0", caller: principal, callee: principal}]
ops: "${MESHPASS_TEST_IP}:0"`)
	data, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.write("meshpass.yaml", strings.NewReplacer("file: jwks.json", `file: "${MESHPASS_TEST_DIR}/jwks.json"`, "path: policies", `path: "${MESHPASS_TEST_DIR}/policies"`).Replace(string(data)))
	t.Setenv("MESHPASS_TEST_IP", "127.0.0.1")
	t.Setenv("MESHPASS_TEST_DIR", filepath.Dir(f.config))
	r := start(t, f.config, func(p *Process) { p.Poll = 1e6 })
	changed, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.write("meshpass.yaml", strings.Replace(string(changed), "audience:", "leeway: 7s, audience:", 1))
	r.await(t, "configuration reloaded")
	if n := r.logged("the configuration has changed in more than trust: a restart is needed for the rest"); n > 0 {
		t.Errorf("log: %s", &r.log)
	}
	if err := r.end(t); err != nil {
		t.Error(err)
	}
}
