package policy_test

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// dice makes random documents and requests out of few names, so that they often meet.
type dice struct{ *rand.Rand }

func (d dice) one(of ...string) string { return of[d.Intn(len(of))] }
func (d dice) some(of ...string) []string {
	d.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:1+d.Intn(2)]
}
func (d dice) often(times, outOf int) bool { return d.Intn(outOf) < times }

func (d dice) document(name string, guardrail bool) nDocument {
	doc := nDocument{APIVersion: "meshpass.dev/v1", Kind: "AccessPolicy", Metadata: map[string]string{"name": name}, guardrail: guardrail}
	doc.Spec.Targets = map[string][]string{"workloads": d.some("ns/a/sa/x", "ns/a/sa/*", "ns/*/sa/x", "ns/*/sa/*", "ns/b/sa/y", "gateway/g")}
	doc.Spec.Mode, doc.Spec.Identity = d.one("", "", "", "shadow"), d.one("", "optional", "optional")
	doc.Spec.OnOutage = d.one("allow", "allow", "deny")
	for i := 0; i < d.Intn(2); i++ {
		doc.Spec.Public = append(doc.Spec.Public, nTo{Paths: d.paths(), Methods: d.maybe("GET", "POST")})
	}
	for i := 0; i < 1+d.Intn(5); i++ {
		doc.Spec.Rules = append(doc.Spec.Rules, d.rule(fmt.Sprint("r", i), doc.Spec.Mode))
	}
	return doc
}

func (d dice) maybe(of ...string) []string {
	if d.often(1, 2) {
		return nil
	}
	return d.some(of...)
}

func (d dice) paths() []string {
	return d.some("/", "/p", "/p/", "/p/q", "/p/**", "/**", "/{x}", "/p/{x}", "/{x}/q", "/p/{x}/**", "/q/{y}/{x}")
}

func (d dice) rule(name, mode string) nRule {
	r := nRule{Name: name, Effect: d.one("allow", "allow", "deny"), Mode: d.one("", "", "", "shadow")}
	if d.often(1, 3) {
		r.From = &nFrom{Workloads: d.maybe("ns/a/sa/x", "ns/a/sa/*", "ns/*/sa/x", "spiffe://o.example/x"), Issuers: d.maybe("https://i", "https://j")}
		r.From.NoPrincipal = r.From.Workloads == nil && (r.From.Issuers == nil || d.often(1, 2))
	}
	if d.often(3, 4) {
		r.To = &nTo{Paths: d.paths(), Methods: d.maybe("GET", "POST"), Hosts: d.maybe("a.example", "b.example", "*.example", "*.a.example")}
		if d.often(1, 4) {
			r.To.Ports = []int{8080}
		}
		if d.often(1, 3) && strings.Contains(strings.Join(r.To.Paths, ""), "{") {
			r.To.AllowEncoded = d.some("%2F", "%3B")
		}
	}
	if d.often(1, 4) {
		r.Scopes = d.some("s", "t")
	}
	if d.often(1, 4) {
		r.Claims = map[string][]any{"tctx.tenant": {"t1", "t2"}}
	}
	if d.often(1, 3) {
		r.When = d.one(whenHost, whenHas)
		if r.To != nil && !slices.ContainsFunc(r.To.Paths, func(p string) bool { return !strings.Contains(p, "{x}") }) {
			r.When = whenTenant
		}
	}
	return r
}

func (d dice) request() policy.Request {
	r := policy.Request{
		Callee: identity.Workload(d.one("ns/a/sa/x", "ns/a/sa/z", "ns/b/sa/y", "gateway/g", "ns/c/sa/c")),
		Caller: identity.Workload(d.one("ns/a/sa/x", "ns/a/sa/w", "ns/d/sa/d", "spiffe://o.example/x", "")),
		Method: d.one("GET", "POST", "PUT", "get"), Host: d.one("a.example", "A.example:8080", "b.example", "c.example", "x.a.example", "y.x.a.example:8080", "a.example.", "b.example:x", "example", ""), Port: uint32(8080 + d.Intn(2)), Now: noon,
		Path: d.one("/", "/p", "/p/", "/p/q", "/p/t1", "/%70", "/p/t1/q", "/t1", "/p//q", "/p/t%2F1", "/p%2Fq", "/q/t%2F1/t1", "/p/t1/x%2Fy", "/p/a%20b", "/q/y/t1", "/p/t%3B1", "/p/t1/x%2Fy%3Bz", "/q/..%3B/t1", "/p%3Bq"),
	}
	r.NoCaller = r.Caller == "" && d.often(1, 2)
	return r
}

func (d dice) token() (*identity.Claims, decision.Reason) {
	switch d.Intn(8) {
	case 0:
		return nil, decision.TokenMissing
	case 1:
		return nil, decision.TokenExpired
	case 2:
		return nil, decision.KeysUnavailable
	}
	claims := &identity.Claims{Issuer: d.one("https://i", "https://j"), Scope: d.one("", "s", "s t", "st"), Tctx: map[string]any{}}
	if d.often(5, 6) {
		claims.Tctx["tenant"] = []any{"t1", "t2", "t/1", "t1", true, []any{"t0", "t1"}, []any{"t0", int64(1)}}[d.Intn(7)]
	}
	return claims, ""
}

func render(t *testing.T, documents []nDocument, guardrail bool) source.Dir {
	t.Helper()
	tree := fstest.MapFS{}
	for _, d := range documents {
		if d.guardrail != guardrail {
			continue
		}
		text, err := json.Marshal(d) // JSON is YAML
		if err != nil {
			t.Fatal(err)
		}
		tree[d.Metadata["name"]+".yaml"] = &fstest.MapFile{Data: text}
	}
	return source.Dir{Name: fmt.Sprint("guardrail-", guardrail), Files: tree, Guardrail: guardrail}
}

// The engine and the naive evaluator make the same decisions, enforced and in shadow.
func TestTheNaiveEvaluatorAgrees(t *testing.T) {
	d := dice{rand.New(rand.NewSource(20260601))}
	reasons := map[string]int{}
	for round := 0; round < 400; round++ {
		documents := []nDocument{d.document("a", false), d.document("b", false), d.document("c", true)}
		set, err := (source.Loader{}).Load(render(t, documents, false), render(t, documents, true))
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < 25; i++ {
			r := d.request()
			claims, refusal := d.token()
			got := set.Decide(r, func() (*identity.Claims, decision.Reason) { return claims, refusal })
			n := naive{documents: documents, request: r, claims: claims, refusal: refusal}
			want := n.decide()
			n.watched = true
			if watched := n.decide(); describe(got) != want || got.Shadow != nil && describe(*got.Shadow) != watched || got.Shadow == nil && want != watched {
				text, _ := json.Marshal(documents)
				t.Fatalf("round %d: %+v\nclaims %+v %s\ngot %s, in shadow %v\nwant %s, in shadow %s\n%s", round, r, claims, refusal, describe(got), got.Shadows(), want, watched, text)
			}
			reasons[strings.Fields(want)[1]]++
		}
	}
	for _, reason := range []string{"rule_allowed", "public", "allowed_on_outage", "rule_denied", "condition_error", "no_rule", "ambiguous_path", "ambiguous_method", "ambiguous_host", "unguarded", "token_missing", "token_expired", "keys_unavailable"} {
		if reasons[reason] < 20 {
			t.Errorf("%s was compared only %d times", reason, reasons[reason])
		}
	}
}
