package replay

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// The parts of random documents. Each line can be combined with every other.
var heads = []string{"identity: required", "identity: optional", "identity: optional, onOutage: allow", "onOutage: allow, public: [{paths: [/b]}]", "identity: optional, mode: shadow"}

var rules = []string{
	"effect: allow, scopes: [s]",
	"effect: allow, claims: {tctx.plan: [gold]}",
	"effect: allow, to: {paths: ['/{x}']}, when: claims.tctx.tenant == path.x",
	"effect: allow, when: has(claims.tctx.tenant) && claims.tctx.level > 2",
	"effect: allow, from: {workloads: [ns/a/sa/caller]}, to: {methods: [POST]}",
	"effect: allow, when: '\"x-a\" in request.headers'",
	"effect: allow, when: claims.tctx.more.size() > 0",
	"effect: deny, to: {ports: [80]}",
	"effect: deny, from: {noPrincipal: true}, to: {paths: [/a]}",
	"effect: deny, claims: {tctx.plan: [silver]}",
	"effect: deny, mode: shadow, when: claims.sub == 'idp:bob'",
	"effect: deny, when: '!has(claims.tctx.level) && request.method == \"POST\"'",
	"effect: deny, from: {issuers: [i2]}, to: {paths: [/a]}",
	`effect: deny, when: "claims.aud == 'b' || request.headers['x-a'] == '2'"`,
}

type dice struct{ *rand.Rand }

func oneOf[T any](d dice, of ...T) T { return of[d.Intn(len(of))] }

func (d dice) randomSet(t *testing.T) *policy.Set {
	t.Helper()
	tree := fstest.MapFS{}
	for i := 0; i < 1+d.Intn(2); i++ {
		head := strings.ReplaceAll(oneOf(d, heads...), ", ", "\n  ")
		text := fmt.Sprintf("apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: d%d}\nspec:\n  targets: {workloads: [%s]}\n  %s\n  rules:\n", i, oneOf(d, "ns/a/sa/callee", "ns/a/sa/*", "ns/a/sa/*"), head)
		for j := 0; j < 1+d.Intn(4); j++ {
			rule := oneOf(d, rules...)
			if strings.Contains(head, "shadow") {
				rule = strings.Replace(rule, "mode: shadow, ", "", 1)
			}
			text += fmt.Sprintf("  - {name: r%d, %s}\n", j, rule)
		}
		tree[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := source.Loader{}.Load(source.Dir{Files: tree, Guardrail: d.Intn(4) == 0})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func (d dice) randomRequest() policy.Request {
	r := policy.Request{
		Callee: "ns/a/sa/callee", Caller: oneOf(d, "ns/a/sa/caller", identity.Workload("ns/b/sa/caller"), ""), Method: oneOf(d, "GET", "POST", "post"),
		Path: oneOf(d, "/a", "/b", "/b", "/a//b"), Host: "h", Port: oneOf(d, uint32(80), 8080), Headers: map[string]string{}, Now: time.Unix(1e9, 5).UTC(),
	}
	r.NoCaller = r.Caller == "" && d.Intn(2) == 0
	if d.Intn(2) == 0 {
		r.Headers["x-a"] = oneOf(d, "1", "2")
	}
	return r
}

func (d dice) randomToken() (*identity.Claims, decision.Reason) {
	if refusal := oneOf(d, "", "", "", decision.TokenMissing, decision.TokenExpired, decision.NotEntitled, decision.NoSigningKey); refusal != "" {
		return nil, refusal
	}
	c := &identity.Claims{Issuer: oneOf(d, "i", "i2"), Subject: oneOf(d, "idp:alice", "idp:bob"), Audience: oneOf(d, "a", "b"), Txn: "t", Scope: oneOf(d, "s", "t"), Tctx: map[string]any{}}
	for name, value := range map[string]any{"tenant": oneOf(d, "a", "b"), "plan": oneOf[any](d, "gold", "silver", true), "level": oneOf[any](d, int64(1), int64(3), 2.5), "more": map[string]any{"x": int64(1)}} {
		if d.Intn(3) > 0 {
			c.Tctx[name] = value
		}
	}
	return c, ""
}

// decideAndRecord decides a request, and returns the record that a hop writes.
func decideAndRecord(t *testing.T, set *policy.Set, r policy.Request, claims *identity.Claims, refusal decision.Reason) audit.Record {
	t.Helper()
	var seen *identity.Claims
	d := set.Decide(r, func() (*identity.Claims, decision.Reason) {
		seen = claims
		return claims, refusal
	})
	rec := audit.Record{
		Time: r.Now, Kind: audit.KindCheck, Caller: string(r.Caller), Callee: string(r.Callee), Method: r.Method, Path: r.Path, Host: r.Host,
		Decision: d.String(), Reason: string(d.Reason), Policy: d.Policy, Rule: d.Rule, Shadow: d.Shadows(), Generation: set.Generation(), Inputs: set.Inputs(r, seen),
	}
	if seen != nil {
		rec.Sub, rec.Iss, rec.Txn = seen.Subject, seen.Issuer, seen.Txn
	}
	return rec
}

func parseBack(t *testing.T, rec audit.Record) Record {
	t.Helper()
	line, err := json.Marshal(rec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRecord(line)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A replayed answer is the answer of the documents to the original request with its original
// token, although the replay knows only the record of them.
func TestWhatIsReplayedIsSo(t *testing.T) {
	d := dice{rand.New(rand.NewSource(15))}
	same, decided, undecidable := 0, 0, 0
	for round := 0; round < 200; round++ {
		old, changed := d.randomSet(t), d.randomSet(t)
		for i := 0; i < 25; i++ {
			r := d.randomRequest()
			claims, refusal := d.randomToken()
			rec := decideAndRecord(t, old, r, claims, refusal)
			if o := parseBack(t, rec).replay(old, old); o.undecidable != "" || o.was != o.now {
				t.Fatalf("under the documents that decided %+v: got %+v", rec, o)
			}
			same++
			d.hideInputs(&rec)
			before := old
			if d.Intn(3) == 0 { // the folder is not at the commit that decided
				before = d.randomSet(t)
			}
			o := parseBack(t, rec).replay(before, changed)
			if o.undecidable != "" {
				undecidable++
				continue
			}
			decided++
			truth := changed.Decide(r, func() (*identity.Claims, decision.Reason) { return claims, refusal })
			want := Answer{Decision: truth.String(), Reason: string(truth.Reason), Policy: truth.Policy, Rule: truth.Rule}
			if o.now.Decision != want.Decision || o.now.Reason != "" && !o.now.sameDecision(want) {
				t.Fatalf("%+v\ntoken %+v %s: got %s, want %s", rec, claims, refusal, o.now, want)
			}
		}
	}
	t.Logf("%d the same, %d decided, %d undecidable", same, decided, undecidable)
	if decided < 2000 || undecidable < 1000 {
		t.Errorf("%d decided, %d undecidable: the dice are loaded", decided, undecidable)
	}
}

// hideInputs removes some inputs of some records, as a mask does.
func (d dice) hideInputs(rec *audit.Record) {
	for name := range rec.Inputs {
		if d.Intn(20) == 0 {
			delete(rec.Inputs, name)
			rec.Unrecorded = append(rec.Unrecorded, name)
		}
	}
}
