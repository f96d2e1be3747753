package explain_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/extauthz/internal/policycli/explain"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

const alice = `{"sub":"okta:alice","scope":"orders.read","tctx":{"tenant":"acme","level":3},"exp":1}`

var (
	domains = identity.TrustDomains{Local: "cluster.local"}
	noon    = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
)

func loadSet(t *testing.T, dir string) *policy.Set {
	t.Helper()
	set, err := policycli.DocumentSource{Sources: []string{dir}, Domains: domains}.LoadSet()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func printText(t *testing.T, set *policy.Set, queries ...explain.Query) string {
	t.Helper()
	var report explain.Report
	for _, q := range queries {
		report.Explanations = append(report.Explanations, explain.Explain(set, q))
	}
	var text strings.Builder
	if err := report.Print(&text); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestPrinted(t *testing.T) {
	documents := loadSet(t, "../cases/testdata/policies")
	for _, row := range []struct {
		name  string
		flags explain.RequestFlags
	}{
		{"denied", explain.RequestFlags{Caller: "ns/edge/sa/tyk-gateway", Path: "/tenants/globex/orders/1?a=b", Claims: alice}},
		{"allowed", explain.RequestFlags{Caller: "ns/batch/sa/nightly", Path: "/tenants/acme/orders/1", Claims: alice, Host: "orders.shop", Port: 8080}},
		{"expired", explain.RequestFlags{Caller: "none", Path: "/vault", NoToken: "token_expired"}},
		{"ambiguous", explain.RequestFlags{Path: "/tenants//orders/1"}},
		{"undecided", explain.RequestFlags{Path: "/vault", Claims: `{"sub":"okta:bob"}`}},
	} {
		row.flags.Callee = "ns/shop/sa/orders"
		q, err := row.flags.BuildQuery(domains, noon)
		if err != nil {
			t.Fatal(err)
		}
		golden.CompareFile(t, row.name+".txt", printText(t, documents, q))
		if row.name == "denied" {
			data, err := json.MarshalIndent(explain.Explain(documents, q), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.CompareFile(t, "denied.json", string(data)+"\n")
		}
	}
}

func TestACalleeThatNobodyTargets(t *testing.T) {
	documents := loadSet(t, "../cases/testdata/policies")
	q, err := explain.RequestFlags{Callee: "ns/shop/sa/order"}.BuildQuery(domains, noon)
	if err != nil {
		t.Fatal(err)
	}
	e := explain.Explain(documents, q)
	want := `no document targets ns/shop/sa/order (did you mean "ns/shop/sa/orders"?); targets are ns/shop/sa/orders`
	if len(e.Notes) != 1 || e.Notes[0] != want || len(q.Notes) != 0 {
		t.Errorf("got %q", e.Notes)
	}
}

func TestACallerThatNoRuleNames(t *testing.T) {
	for _, caller := range []string{"ns/batch/sa/x", "ns/edge/sa/tyk-gateway", "ns/far/sa/away", "none"} { // named by a pattern, named, and not similar to a named one
		if got := explainFrom(t, loadSet(t, "../cases/testdata/policies"), caller).Notes; got != nil {
			t.Errorf("%s: got %q", caller, got)
		}
	}
	shipped := loadSet(t, "../../../../manifests/policies")
	got := explainFrom(t, shipped, "ns/edge/sa/tyk-gatewy").Notes
	if want := []string{`no rule names the caller ns/edge/sa/tyk-gatewy (did you mean "ns/edge/sa/tyk-gateway"?)`}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func explainFrom(t *testing.T, documents *policy.Set, caller string) explain.Explanation {
	t.Helper()
	q, err := explain.RequestFlags{Callee: "ns/shop/sa/orders", Caller: caller}.BuildQuery(domains, noon)
	if err != nil {
		t.Fatal(err)
	}
	return explain.Explain(documents, q)
}

func TestMistakesListWhatDocumentsName(t *testing.T) {
	targets, callers := []string{"ns/shop/sa/orders"}, []string{"ns/edge/sa/gw"}
	for want, flags := range map[string]explain.RequestFlags{
		"name the request: --callee, --check or --record; targets are ns/shop/sa/orders":                                                                     {},
		`--callee "ns/shop/orders": want one of those that documents target, without *; targets are ns/shop/sa/orders`:                                       {Callee: "ns/shop/orders"},
		`--callee "ns/shop/s/orders": want one of those that documents target, without * (did you mean "ns/shop/sa/orders"?); targets are ns/shop/sa/orders`: {Callee: "ns/shop/s/orders"},
		`--caller "n/edge/sa/gw": want one workload, ns/NAMESPACE/sa/ACCOUNT or spiffe://DOMAIN/PATH, or none (did you mean "ns/edge/sa/gw"?); callers of rules are ns/edge/sa/gw`: {
			Callee: "ns/shop/sa/orders", Caller: "n/edge/sa/gw"},
	} {
		flags.Targets, flags.Callers = targets, callers
		if _, err := flags.BuildQuery(domains, noon); err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// unsignedToken has the claims of alice, and no valid signature.
func unsignedToken() string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"typ":"txntoken+jwt"}`)) + "." + part([]byte(alice)) + "." + part([]byte("none"))
}

func checkWith(t *testing.T, edits ...string) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/check.json")
	if err != nil {
		t.Fatal(err)
	}
	return []byte(strings.NewReplacer(append(edits, "TOKEN", unsignedToken())...).Replace(string(data)))
}

func TestFromCheck(t *testing.T) {
	documents := loadSet(t, "../cases/testdata/policies")
	valid := func(raw string) policy.Authentication {
		if raw != unsignedToken() {
			t.Errorf("verified %s", raw)
		}
		return policy.Authentication{Claims: &identity.Claims{Subject: "okta:alice", Scope: "orders.read", Tctx: map[string]any{"tenant": "acme"}}}
	}
	expired := func(string) policy.Authentication { return policy.Authentication{NoToken: decision.TokenExpired} }
	for _, row := range []struct {
		name      string
		check     []byte
		flags     explain.RequestFlags
		readToken explain.TokenReader
		want      []string
	}{
		{"as it says of itself", checkWith(t), explain.RequestFlags{}, explain.TrustTokens(noon), []string{"allow rule_allowed orders/read-own-tenant: ", "okta:alice, NOT VERIFIED", "of ns/shop/sa/orders, by ns/edge/sa/tyk-gateway, at 2026-06-01T12:00:00Z"}},
		{"verified", checkWith(t), explain.RequestFlags{}, explain.VerifyTokens(valid), []string{"allow rule_allowed", "okta:alice, verified"}},
		{"refused", checkWith(t), explain.RequestFlags{}, explain.VerifyTokens(expired), []string{"deny token_expired: the token is invalid or cannot be verified: see docs/token.md", "token    token_expired"}},
		{"no token", checkWith(t, "txn-token", "x-b"), explain.RequestFlags{}, explain.TrustTokens(noon), []string{"deny token_missing"}},
		{"no token at all in it", checkWith(t, "TOKEN", "a.b"), explain.RequestFlags{}, explain.TrustTokens(noon), []string{"deny token_format"}},
		{"somebody else asks", checkWith(t), explain.RequestFlags{Caller: "ns/batch/sa/x", Path: "/healthz", Method: "POST"}, explain.TrustTokens(noon), []string{"deny no_rule", "POST /healthz of ns/shop/sa/orders, by ns/batch/sa/x"}},
		{"no callee", checkWith(t, "spiffe://cluster.local/ns/shop/sa/orders", ""), explain.RequestFlags{}, explain.TrustTokens(noon), []string{"deny no_callee: no document was asked"}},
		{"a callee by flag", checkWith(t, "spiffe://cluster.local/ns/shop/sa/orders", ""), explain.RequestFlags{Callee: "ns/shop/sa/orders"}, explain.TrustTokens(noon), []string{"allow rule_allowed"}},
		{"no SPIFFE id", checkWith(t, "spiffe://cluster.local/ns/edge/sa/tyk-gateway", "CN=x"), explain.RequestFlags{}, explain.TrustTokens(noon), []string{"deny bad_principal: no document was asked"}},
	} {
		q, err := row.flags.QueryFromCheck(row.check, domains, row.readToken, noon)
		if err != nil {
			t.Fatalf("%s: %s", row.name, err)
		}
		text := printText(t, documents, q)
		for _, want := range row.want {
			if !strings.Contains(text, want) || strings.Contains(text, unsignedToken()) {
				t.Errorf("%s: got\n%s\nwant %s", row.name, text, want)
			}
		}
	}
	if _, err := (explain.RequestFlags{}).QueryFromCheck([]byte("{"), domains, explain.TrustTokens(noon), noon); err == nil || !strings.HasPrefix(err.Error(), "a CheckRequest in JSON: ") {
		t.Errorf("got %v", err)
	}
}

// Without keys, onOutage decides only if the verifier reports an outage. The reason alone is
// not enough: the authorizer denies the token of a partner whose keys are missing.
func TestWithoutKeys(t *testing.T) {
	documents, err := source.Loader{}.Load(source.Dir{Name: "p", Files: fstest.MapFS{"p.yaml": {Data: []byte(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  onOutage: allow
  rules: [{name: all, effect: allow}]
`)}}})
	if err != nil {
		t.Fatal(err)
	}
	for outage, want := range map[bool]string{true: "allow allowed_on_outage orders/all: ", false: "deny keys_unavailable: "} {
		verify := func(string) policy.Authentication {
			return policy.Authentication{NoToken: decision.KeysUnavailable, Outage: outage}
		}
		q, err := explain.RequestFlags{}.QueryFromCheck(checkWith(t), domains, explain.VerifyTokens(verify), noon)
		if err != nil {
			t.Fatal(err)
		}
		if text := printText(t, documents, q); !strings.HasPrefix(text, want) {
			t.Errorf("outage %t: got\n%s", outage, text)
		}
	}
}

func TestFromRecords(t *testing.T) {
	records := func() *os.File {
		file, err := os.Open("../replay/testdata/tour.jsonl")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	then := loadSet(t, "../replay/testdata/tour")
	queries, err := explain.QueriesFromRecords(records(), "01a206a5-b4f8-70ad-a3b5-54c1cf224bc7", then)
	if err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "record.txt", printText(t, then, queries...))
	now := loadSet(t, "../cases/testdata/policies")
	if queries, err = explain.QueriesFromRecords(records(), "01a206a5-b4fd-7832-a498-386f447c7965", now); err != nil {
		t.Fatal(err)
	}
	golden.CompareFile(t, "record-by-others.txt", printText(t, now, queries...))
	if _, err := explain.QueriesFromRecords(records(), "x", then); !errors.Is(err, explain.ErrNoRecord) {
		t.Errorf("no such id: got %v", err)
	}
	if _, err := explain.QueriesFromRecords(records(), "", then); err == nil || !strings.HasPrefix(err.Error(), "34 records: choose with --id") {
		t.Errorf("too many: got %v", err)
	}
	masked := `{"kind":"check","id":"7","callee":"ns/shop/sa/orders","method":"GET","path":"masked","decision":"deny","reason":"no_rule","masked":["path"]}`
	if _, err := explain.QueriesFromRecords(strings.NewReader(masked), "7", then); err == nil || err.Error() != "record 7 is undecidable: the path of the record is masked" {
		t.Errorf("masked: got %v", err)
	}
}

func TestFlagsThatAreRefused(t *testing.T) {
	for want, flags := range map[string]explain.RequestFlags{
		"name the request":                      {},
		`--callee "ns/*/sa/b": want one`:        {Callee: "ns/*/sa/b"},
		`--caller "x": want one workload`:       {Callee: "ns/a/sa/b", Caller: "x"},
		"--claims and --no-token":               {Callee: "ns/a/sa/b", Claims: "{}", NoToken: "token_expired"},
		`claims: json: unknown field "tenant"`:  {Callee: "ns/a/sa/b", Claims: `{"tenant":"acme"}`},
		`--no-token "no_such": want the reason`: {Callee: "ns/a/sa/b", NoToken: "no_such"},
	} {
		if _, err := flags.BuildQuery(domains, noon); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v", flags, err)
		}
	}
	if q, err := (explain.RequestFlags{Callee: "edge/orders"}).BuildQuery(domains, noon); err != nil || !q.Request.NoCaller {
		t.Errorf("at the edge, nobody has a name: got %+v, %v", q, err)
	}
}

// An ambiguous host is explained where it decides the request. No rule is asked then.
func TestAnAmbiguousHost(t *testing.T) {
	dir := t.TempDir()
	const document = `{apiVersion: meshpass.dev/v1, kind: AccessPolicy, metadata: {name: p}, spec: {targets: {workloads: [gateway/ingress, ns/shop/sa/orders]}, rules: [{name: r, effect: allow}]}}`
	if err := os.WriteFile(dir+"/p.yaml", []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
	for callee, want := range map[string]string{
		"gateway/ingress":   "the host can be read in two ways, and a gateway or a rule looks at it: several colons",
		"ns/shop/sa/orders": "an allow rule matches, and no deny rule does",
	} {
		q, err := explain.RequestFlags{Callee: callee, Host: "orders.shop:80:80", Claims: alice}.BuildQuery(domains, noon)
		if err != nil {
			t.Fatal(err)
		}
		e := explain.Explain(loadSet(t, dir), q)
		if e.Why != want || (e.Documents[0].Rules == nil) != (callee == "gateway/ingress") {
			t.Errorf("%s: got %s, %+v", callee, e.Why, e.Documents)
		}
	}
}
