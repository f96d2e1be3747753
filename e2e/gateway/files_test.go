package gateway_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/internal/tokentest"
)

var pluginConfig = `
issuer: ` + tokentest.Issuer + `
audience: ` + tokentest.Audience + `
workload: ` + tokentest.Requester + `
keys: {dir: keys}
secretFile: hmac
upstreams: ["127.0.0.1"]
idps:
  - {alias: acme, issuer: "ACME", audiences: [shop], subject: sub, scopes: [scope], claims: {tenant: tenant}}
  - {alias: globex, issuer: "GLOBEX", audiences: [shop], subject: sub, scopes: [scope], claims: {tenant: tenant}}
  - {alias: made, issuer: "` + madeIssuer + `", audiences: [shop, reports], subject: sub, scopes: [scope], claims: {tenant: tenant, plan: made.example.com.plan}, jwtSources: ["` + base64.StdEncoding.EncodeToString([]byte(madeSecret)) + `"]}
apiKeys: {subject: meta.developer_id, claims: {tenant: meta.tenant}}
oauth: {subject: client, claims: {tenant: meta.tenant}, scopes: {byPolicy: {all: [orders.read]}}}
basic: {subject: username, claims: {tenant: meta.tenant}}
hmac: {subject: keyId}
mtls: {subject: fingerprint}
custom: {subject: meta.user}
allow: {optionalIdentity: [optional-ours], responseCache: [cached-allowed], detailedRecording: [recorded-allowed]}
`

func (r *rig) writePlugin(t *testing.T) {
	t.Helper()
	tokentest.WriteKeyDir(t, r.path("keys"))
	r.write(t, "hmac", strings.Repeat("s", 32))
	r.write(t, "identity.yaml", r.fill(pluginConfig))
}

// writeConf takes the demo's configuration of the gateway.
func (r *rig) writeConf(t *testing.T, over string) {
	t.Helper()
	net, err := subnet.Claim()
	must(t, err)
	t.Cleanup(func() { must(t, net.Release()) })
	r.url, r.admin = "http://"+net.Addr(10)+":8080", "http://"+net.Addr(10)+":8081"
	root, err := repo.Root()
	must(t, err)
	conf := readJSON(t, filepath.Join(root, "e2e", "localmesh", "config", "tyk.conf"))
	merge(conf, parse(t, fmt.Sprintf(`{"listen_address": %q, "secret": %q, "node_secret": %q, "storage": {"host": %q, "port": %s}}`,
		net.Addr(10), secret, secret, r.redis.Host(), r.redis.Port())))
	if over != "" {
		merge(conf, parse(t, over))
	}
	if _, tls := conf["http_server_options"]; tls {
		r.url, r.admin = strings.Replace(r.url, "http:", "https:", 1), strings.Replace(r.admin, "http:", "https:", 1)
	}
	r.writeJSON(t, "tyk.conf", conf)
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(r.path(name), []byte(text), 0o600))
}

func (r *rig) writeJSON(t *testing.T, name string, value any) {
	t.Helper()
	data, err := json.MarshalIndent(value, "", "  ")
	must(t, err)
	r.write(t, name, string(data))
}

// fill writes this run's addresses into a text.
func (r *rig) fill(text string) string {
	return strings.NewReplacer("ACME", r.issuers["acme"], "GLOBEX", r.issuers["globex"], "UPSTREAM", r.upstream.url, "FOREIGN", r.upstream.foreign(), "HOSTPORT", strings.TrimPrefix(r.upstream.foreign(), "http://")).Replace(text)
}
