package settings

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// readFull gives a file with all sections.
func readFull(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestConfigProblemsAreReportedTogether(t *testing.T) {
	const text = `issuer: tyk.example.com
audience: cluster.local
keys: {dir: k, directory: x}
lifetime: 10m
minRemaining: soon
upstreams: ["*.local", "http://orders", "a..b", "*.0.0.1", ok.example.com:443]
edge: {enforce: false, overrides: x}
revocation: {}
metrics: "localhost:9092"
idps:
  - alias: key
    issuer: https://idp.example.com
    audiences: []
    jwtSources: [""]
    subject: kid
    claims: {groups: {from: groups, most: 3}}
  - {alias: okta, issuer: https://idp.example.com, audiences: [a], subject: ""}
apiKeys:
  subject: alias
  claims: {tenant: org}
  scopes: {byPolicy: {gold: [a b]}}
audit: {output: /var/log/audit, queue: 1KiB, anonymousDenials: -1, required: true, sampleAllowed: 0.1, mask: [user], chain: {checkpoint: 2h}}
`
	want := []string{
		"f.yaml:1:1: workload: want the gateway's SPIFFE id, such as spiffe://cluster.local/ns/edge/sa/tyk-gateway",
		"f.yaml:1:1: secretFile: missing",
		`f.yaml:1:9: issuer: "tyk.example.com" is not an http or https URL: write one such as https://tyk.example.com`,
		"f.yaml:2:11: audience: audience cluster.local is the same in every mesh: use a globally unique name",
		`f.yaml:3:16: unknown key "directory"; known here: dir`,
		"f.yaml:4:11: lifetime: want 1s to 5m0s, not 10m0s",
		`f.yaml:5:15: minRemaining: want a duration such as 30s or 7d, not the text "soon"`,
		`f.yaml:6:13: upstreams[0]: "*.local": a suffix of one label would let tokens leave the mesh`,
		`f.yaml:6:24: upstreams[1]: "http://orders": want a host, *.SUFFIX or an IP address, with a port if only that one is meant`,
		`f.yaml:6:41: upstreams[2]: "a..b": "a..b" is not a host name`,
		`f.yaml:6:49: upstreams[3]: "*.0.0.1": "0.0.1" is not a host name`,
		"f.yaml:7:7: edge.policies: want the folders of documents, such as [{path: policies}]",
		`f.yaml:7:24: unknown key "overrides"; known here: enforce, policies`,
		"f.yaml:8:13: revocation.file: missing",
		`f.yaml:9:10: metrics: want IP:PORT, such as 127.0.0.1:9000, not "localhost:9092"`,
		`f.yaml:11:12: idps[0].alias: "key" is reserved for the sessions of apiKeys: choose another one`,
		"f.yaml:13:16: idps[0].audiences: want the client ids or API names that the caller's token may be for",
		"f.yaml:14:18: idps[0].jwtSources[0]: want the jwt_source of the APIs that verify this provider's tokens",
		"f.yaml:15:14: idps[0].subject: kid is a field of the token's header, not a claim",
		`f.yaml:16:22: groups: unknown key "most"; known here: from, keep, max, as`,
		"f.yaml:17:27: idps[1].issuer: https://idp.example.com is the issuer of an entry above: write one entry for both",
		"f.yaml:17:77: idps[1].subject: want the name of a claim",
		`f.yaml:19:12: apiKeys.subject: want meta.NAME, a stable field of the session's metadata, or hmac, not "alias"`,
		`f.yaml:20:20: apiKeys.claims.tenant: want meta.NAME, a field of the session's metadata, not "org"`,
		`f.yaml:21:30: apiKeys.scopes.byPolicy.gold[0]: want one scope, not "a b"`,
		`f.yaml:22:17: audit.output: want stdout or stderr, not "/var/log/audit"`,
		"f.yaml:22:40: audit.queue: want 256KiB to 1GiB, not 1KiB",
		"f.yaml:22:64: audit.anonymousDenials: want 1 to 100000 records a second for each reason, not -1",
		"f.yaml:22:99: audit.sampleAllowed: with required: true every allow has a record: remove sampleAllowed, or set required to false",
		`f.yaml:22:111: audit.mask[0]: "user" cannot be masked: want caller, detail, host, inputs, path, request_id, sub, trace_id`,
		"f.yaml:22:125: audit.chain.key: missing",
		"f.yaml:22:138: audit.chain.checkpoint: want 1s to 1h0m0s, not 2h0m0s",
	}
	_, err := Parse("f.yaml", []byte(text))
	if err == nil {
		t.Fatal("accepted")
	}
	if want := strings.Join(want, "\n"); err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestClaimRules(t *testing.T) {
	settingsText := readFull(t)
	text := strings.ReplaceAll(settingsText, "max: 2", "max: -1")
	text = strings.ReplaceAll(text, `"orders-*"`, `"*-*"`)
	text = strings.ReplaceAll(text, "tenant: org_id", "sid: org_id, x: alg, y: {keep: }")
	_, err := Parse("f.yaml", []byte(text))
	if err == nil || !strings.Contains(err.Error(), "keep has no value") {
		t.Fatalf("got %v, want a word on keep without a value", err)
	}
	text = strings.ReplaceAll(text, ", y: {keep: }", "")
	_, err = Parse("f.yaml", []byte(text))
	for _, want := range []string{`claim "sid": the name is reserved`, "alg is a field of the token's header", `keep[0]: want a text with at most one *, not "*-*"`, "max: want 1 or more, not -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestDefaults(t *testing.T) {
	settingsText := readFull(t)
	text := strings.NewReplacer("lifetime: 60s\n", "", "minRemaining: 5s\n", "", "audit: {output: stderr}\n", "").Replace(settingsText)
	c, err := Parse("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	full, err := Parse("f.yaml", []byte(settingsText))
	if err != nil {
		t.Fatal(err)
	}
	full.Audit.Output = "stdout"
	if !reflect.DeepEqual(c, full) {
		t.Errorf("got %+v, want %+v", c, full)
	}
}

func TestRelativeNames(t *testing.T) {
	c, err := Parse("/etc/meshpass/edge.yaml", []byte(strings.ReplaceAll(readFull(t), "DIR/", "")))
	if err != nil {
		t.Fatal(err)
	}
	if c.Keys.Dir != "/etc/meshpass/keys" || c.SecretFile != "/etc/meshpass/secret" {
		t.Errorf("got %s and %s", c.Keys.Dir, c.SecretFile)
	}
}

// Variables are for addresses and paths. A new key with them belongs into this list and into the docs.
func TestKeysWithVariables(t *testing.T) {
	want := []string{"audit.chain.key", "edge.policies[].path", "keys.dir", "metrics", "revocation.file", "secretFile"}
	if got := strictyaml.VariableKeys(reflect.TypeFor[Config]()); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
	docs, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if row := "| plugin | `" + strings.Join(want, "`, `") + "` |\n"; !strings.Contains(string(docs), row) {
		t.Errorf("docs/configuration.md lacks the line\n%s", row)
	}
}

// Every key with variables gets the values of its variables.
func TestVariables(t *testing.T) {
	t.Setenv("MESHPASS_TEST_VALUE", "a: b")
	t.Setenv("MESHPASS_TEST_IP", "127.0.0.1")
	head, _, _ := strings.Cut(strings.Replace(readFull(t), "DIR/keys", `"${MESHPASS_TEST_VALUE}/keys"`, 1), "secretFile:")
	c, err := Parse("/etc/meshpass/f.yaml", []byte(head+`
secretFile: "${MESHPASS_TEST_VALUE}/secret"
upstreams: [orders.example.com]
edge: {policies: [{path: "${MESHPASS_TEST_VALUE}"}]}
revocation: {file: "${MESHPASS_TEST_VALUE}.yaml"}
metrics: "${MESHPASS_TEST_IP}:9092"
audit: {chain: {key: "${MESHPASS_TEST_VALUE}.pem"}}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.Keys.Dir, c.SecretFile, c.Edge.Policies[0].Path, c.Revocation.File, c.Metrics, c.Audit.Chain.Key}
	want := []string{"/etc/meshpass/a: b/keys", "/etc/meshpass/a: b/secret", "/etc/meshpass/a: b", "/etc/meshpass/a: b.yaml", "127.0.0.1:9092", "/etc/meshpass/a: b.pem"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestVariablesThatAreNotExpanded(t *testing.T) {
	text := strings.NewReplacer("https://tyk.test.meshpass.dev", `"https://${HOST}"`, "DIR/secret", "${MESHPASS_TEST_UNSET}/secret").Replace(readFull(t))
	_, err := Parse("f.yaml", []byte(text))
	want := "f.yaml:2:9: issuer: ${HOST} is not expanded here: write the value itself, or replace it before the program starts; " +
		"variables are expanded only in audit.chain.key, edge.policies[].path, keys.dir, metrics, revocation.file, secretFile\n" +
		"f.yaml:16:13: secretFile: the environment variable MESHPASS_TEST_UNSET is not set"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestRemovalOfWhatIsNotThere(t *testing.T) {
	for entry, want := range map[string]string{
		"preset: auth0, claims: {clients: false}":             "idps[0].claims.clients: false removes a claim of the preset, which has none of this name: remove the line",
		"subject: sub, claims: {client: false}":               "idps[0].claims.client: false removes a claim of the preset, which has none of this name: remove the line",
		"preset: auth0, claims: {client: true}":               "client: want the name of a claim",
		"preset: auth1, claims: {client: azp}":                `idps[0].preset: want auth0, entra, keycloak or okta, not "auth1"`,
		"preset: auth0, claims: {client: {from: azp, as: x}}": `idps[0].claims.client.as: want text, not "x"`,
	} {
		_, err := Parse("f.yaml", []byte(strings.Replace(readFull(t), "    subject: sub\n    scopes: [scope, scp]\n    claims: {tenant: org_id, groups: {from: groups, keep: [\"orders-*\"], max: 2}}\n",
			"    "+strings.ReplaceAll(entry, ", claims", "\n    claims")+"\n", 1)))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want only %s", entry, err, want)
		}
	}
	_, err := Parse("f.yaml", []byte(strings.Replace(readFull(t), "tenant: meta.tenant", "tenant: false", 1)))
	if want := "apiKeys.claims.tenant: false removes a claim of a preset, and apiKeys has no preset: remove the line"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Names of claims may contain slashes, so the prefix of one alternative could begin with that of another.
func TestMarkersThatCollide(t *testing.T) {
	for rule, want := range map[string]string{
		"uid|uid":                   "the alternative uid is listed twice",
		"a|b|b":                     "the alternative b is listed twice",
		"uid|https://x|https://x/y": "one of these begins with the other",
	} {
		_, err := Parse("f.yaml", []byte(strings.Replace(readFull(t), "subject: sub", "subject: "+rule, 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", rule, err, want)
		}
	}
}

func TestTypesAreRead(t *testing.T) {
	for types, want := range map[string]string{
		"types: []":           "types: want at least one",
		`types: [""]`:         "types[0]: want the typ of the token's header",
		"types: [text/plain]": "types[0]: want the typ of the token's header",
		"types: JWT":          "write types: [JWT]",
	} {
		_, err := Parse("f.yaml", []byte(strings.Replace(readFull(t), "subject: sub\n", "subject: sub\n    "+types+"\n", 1)))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", types, err, want)
		}
	}
}

// Entries that an entry before them repeats, and settings that have no effect beside others, are mistakes.
func TestSettingsWithoutEffect(t *testing.T) {
	text := strings.NewReplacer(
		"tenant: org_id", "tenant: {from: org_id, as: text, max: 3}",
		`keep: ["orders-*"], max: 2`, `keep: [], max: 0`,
		"subject: sub\n", "subject: sub\n    types: [JWT, application/jwt]\n",
		"upstreams: [", "upstreams: [orders.example.com, orders.example.com, ",
		"{optionalIdentity: [open-api]}", `{optionalIdentity: [orders, orders], responseCache: [""]}`,
	).Replace(readFull(t))
	want := []string{
		"f.yaml:13:18: idps[0].types[1]: jwt is in the list already",
		"f.yaml:15:52: idps[0].claims.tenant.max: limits lists, and as: text makes one text of one number: remove one of them",
		"f.yaml:15:85: idps[0].claims.groups.keep: empty: give at least one entry",
		"f.yaml:15:94: idps[0].claims.groups.max: want 1 or more, not 0",
		"f.yaml:18:33: upstreams[1]: orders.example.com is in the list already",
		"f.yaml:19:36: allow.optionalIdentity[1]: orders is in the list already",
		"f.yaml:19:61: allow.responseCache[0]: empty",
	}
	_, err := Parse("f.yaml", []byte(text))
	if want := strings.Join(want, "\n"); err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
