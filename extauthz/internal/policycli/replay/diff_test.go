package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/extauthz/internal/testhelp/golden"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// openTour opens tour.jsonl: the records of the authorizer and the gateway of `make demo`,
// under the documents of testdata/tour.
func openTour(t *testing.T) io.Reader {
	t.Helper()
	file, err := os.Open("testdata/tour.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

func loadSet(t *testing.T, dir source.Dir) *policy.Set {
	t.Helper()
	set, err := source.Loader{}.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// loadEdited loads testdata/tour with a text of a file replaced.
func loadEdited(t *testing.T, file, from, to string) *policy.Set {
	t.Helper()
	tree := fstest.MapFS{}
	for _, name := range []string{"inventory.yaml", "orders.yaml", "reports.yaml"} {
		data, err := os.ReadFile("testdata/tour/" + name)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		if name == file {
			if !strings.Contains(text, from) {
				t.Fatalf("%s: no %q", file, from)
			}
			text = strings.Replace(text, from, to, 1)
		}
		tree[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return loadSet(t, source.Dir{Name: "tour", Files: tree})
}

func TestTheTourIsReplayedAsItWas(t *testing.T) {
	set := loadSet(t, source.OSDir("testdata/tour"))
	report, err := Diff(set, set, openTour(t))
	if err != nil || report.Replayed != 22 || report.Changed+report.OtherRule+report.Undecidable != 0 || report.NotByPolicy != 12 {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestChangedPolicies(t *testing.T) {
	const own = "when: claims.tctx.tenant == path.tenant"
	set := loadSet(t, source.OSDir("testdata/tour"))
	for _, row := range []struct{ name, file, from, to string }{
		{"narrower", "inventory.yaml", "scopes: [orders.read]", "scopes: [orders.read, stock.read]"},
		{"wider", "orders.yaml", own, `when: claims.tctx.tenant == path.tenant || claims.scope == "orders.read"`},
		{"denied", "orders.yaml", "rules:", "rules:\n    - {name: no-partners, effect: deny, when: 'claims.sub.startsWith(\"key:\")'}"},
		{"renamed", "orders.yaml", "name: read-own-tenant", "name: read"},
		{"reads-more", "reports.yaml", own, "when: claims.tctx.tenant == path.tenant && claims.tctx.plan == 'gold'"},
		{"anonymous", "orders.yaml", "  rules:", "  identity: optional\n  rules:"},
		{"public", "orders.yaml", "  rules:", "  public: [{paths: ['/tenants/**']}]\n  rules:"},
		{"at-the-edge", "reports.yaml", "apiVersion", `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: edge}
spec:
  targets: {workloads: [edge/orders-oidc, edge/orders-jwt]}
  rules:
    - {name: alice, effect: allow, when: claims.sub == "demo:alice"}
    - {name: vault, effect: allow, scopes: [vault], to: {paths: ["/oidc/**"]}}
---
apiVersion`},
	} {
		t.Run(row.name, func(t *testing.T) {
			changed := loadEdited(t, row.file, row.from, row.to)
			report, err := Diff(set, changed, openTour(t))
			if err != nil {
				t.Fatal(err)
			}
			var text strings.Builder
			if err := report.Print(&text); err != nil {
				t.Fatal(err)
			}
			golden.CompareFile(t, "diff-"+row.name+".txt", text.String())
			if row.name == "narrower" {
				data, err := json.MarshalIndent(report, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				golden.CompareFile(t, "diff-narrower.json", string(data)+"\n")
			}
		})
	}
}

// hopRecord returns a record of a hop, with changes.
func hopRecord(changes map[string]any) string {
	r := map[string]any{
		"time": "2026-11-23T04:24:12Z", "kind": "check", "caller": "ns/edge/sa/tyk-gateway", "callee": "ns/shop/sa/orders", "method": "GET",
		"path": "/tenants/acme/orders/1", "host": "h", "sub": "idp:a", "iss": "https://i", "decision": "allow", "reason": "rule_allowed",
		"policy": "orders", "rule": "read-own-tenant", "generation": generation, "inputs": map[string]any{"claims.scope": "orders.read", "claims.tctx.tenant": "acme"},
	}
	for name, value := range changes {
		r[name] = value
	}
	line, _ := json.Marshal(r)
	return string(line)
}

// generation is that of testdata/tour.
const generation = "69b197064a06"

func TestOneRecord(t *testing.T) {
	type changes = map[string]any
	denied := func(more changes) changes {
		for name, value := range (changes{"decision": "deny", "reason": "no_rule", "policy": "", "rule": ""}) {
			if _, given := more[name]; !given {
				more[name] = value
			}
		}
		return more
	}
	set := loadSet(t, source.OSDir("testdata/tour"))
	for _, row := range []struct{ name, line, want string }{
		{"as it was", hopRecord(nil), "replayed 1, changed 0, undecidable 0"},
		{"another generation, and all is there", hopRecord(changes{"generation": "other"}), "replayed 1, changed 0, undecidable 0"},
		{"another generation, and a claim is not there", hopRecord(changes{"generation": "other", "inputs": changes{"claims.scope": "orders.read"}}),
			"OLD reads what the record does not hold: claims.tctx.tenant"},
		{"another generation that decided otherwise", hopRecord(changes{"generation": "other", "rule": "former"}),
			"recorded under generation other, OLD is 69b197064a06 and says allow rule_allowed orders/read-own-tenant, not allow rule_allowed orders/former"},
		{"a path that an earlier version read", hopRecord(changes{"path": "/tenants/acme/orders/1%3Bx"}), "    1  - allow rule_allowed orders/read-own-tenant\n       + deny ambiguous_path\n"},
		{"the same, under another generation", hopRecord(changes{"path": "/tenants/acme/orders/%3F", "generation": "other"}), "    1  - allow rule_allowed orders/read-own-tenant\n       + deny ambiguous_path\n"},
		{"a denied path that an earlier version read", hopRecord(denied(changes{"path": "/admin%23"})), "    1  - deny no_rule\n       + deny ambiguous_path\n"},
		{"a lifted path that an earlier version read", hopRecord(changes{"path": "/x%3Bx", "reason": "overridden", "policy": "", "rule": "ns/shop/sa/orders", "shadow": []string{"deny no_rule"}}), "    1  - deny no_rule\n       + deny ambiguous_path\n"},
		{"masked", hopRecord(changes{"inputs": changes{"claims.scope": "orders.read"}, "unrecorded": []string{"claims.tctx.tenant"}}),
			"OLD reads what the record does not hold: claims.tctx.tenant"},
		{"all inputs masked", hopRecord(changes{"inputs": changes{"claims.scope": "masked", "claims.tctx.tenant": "masked"}, "masked": []string{"inputs"}}),
			"OLD reads what the record does not hold: claims.scope (masked), claims.tctx.tenant (masked)"},
		{"a masked path", hopRecord(changes{"path": "masked", "masked": []string{"path"}}), "the path of the record is masked"},
		{"a masked path that was denied", hopRecord(denied(changes{"path": "masked", "masked": []string{"path"}})), "the path of the record is masked"},
		{"a masked host", hopRecord(changes{"host": "masked", "masked": []string{"host"}}), "the host of the record is masked"},
		{"a masked caller", hopRecord(changes{"caller": "masked", "masked": []string{"caller"}}), "the caller of the record is masked"},
		{"a masked subject that no document reads", hopRecord(changes{"sub": "masked", "request_id": "masked", "masked": []string{"request_id", "sub"}}), "replayed 1, changed 0, undecidable 0"},
		{"a path that is called masked", hopRecord(denied(changes{"path": "/masked"})), "replayed 1, changed 0, undecidable 0"},
		{"masked in silence", hopRecord(changes{"inputs": changes{"claims.scope": "orders.read"}}),
			"OLD says deny condition_error orders/read-own-tenant, not allow rule_allowed orders/read-own-tenant: something beside its documents decided"},
		{"bytes that no JSON holds", hopRecord(changes{"inputs": changes{"claims.scope": "orders.read", "claims.tctx.tenant": "a\ufffd"}}),
			"OLD reads what the record does not hold: claims.tctx.tenant"},
		{"a path that was cut off", hopRecord(changes{"path": "/tenants/acme/orders/1…"}), "the record does not hold all of the path"},
		{"lifted", hopRecord(changes{"reason": "overridden", "policy": "", "rule": "ns/shop/sa/orders", "path": "/x", "shadow": []string{"deny no_rule"}}), "replayed 1, changed 0, undecidable 0"},
		{"lifted, and without a token", hopRecord(changes{"reason": "overridden", "policy": "", "rule": "ns/shop/sa/orders", "sub": "", "iss": "", "shadow": []string{"deny token_missing"}}), "replayed 1, changed 0, undecidable 0"},
		{"a token that did not verify", hopRecord(denied(changes{"reason": "token_expired", "sub": "", "iss": "", "inputs": nil})), "replayed 1, changed 0, undecidable 0"},
		{"no keys", hopRecord(denied(changes{"reason": "not_configured", "sub": "", "iss": "", "inputs": nil})), "replayed 1, changed 0, undecidable 0"},
		{"unguarded", hopRecord(denied(changes{"reason": "unguarded", "callee": "ns/a/sa/b"})), "replayed 1, changed 0, undecidable 0"},
		{"a document that could not be used", hopRecord(denied(changes{"reason": "policy_refused", "policy": "x"})), "something beside its documents decided"},
		{"refused before documents were asked", hopRecord(denied(changes{"reason": "no_callee", "callee": ""})) + "\n" + hopRecord(nil), "replayed 1, changed 0, undecidable 0; not decided by documents 1"},
		{"shed before documents were asked", strings.Join([]string{
			hopRecord(denied(changes{"reason": "overloaded"})), hopRecord(denied(changes{"reason": "deadline_exceeded"})), hopRecord(denied(changes{"reason": "check_too_large"})),
			hopRecord(denied(changes{"reason": "too_many_headers"})), hopRecord(denied(changes{"reason": "audit_unavailable"})), hopRecord(nil),
		}, "\n"), "replayed 1, changed 0, undecidable 0; not decided by documents 5"},
		{"a refusal of the edge's own", hopRecord(denied(changes{"kind": "edge", "reason": "no_session", "callee": "edge/a"})) + "\n" + hopRecord(nil), "replayed 1, changed 0, undecidable 0; not decided by documents 1"},
		{"checkpoints between", `{"time":"2026-06-01T12:00:00Z","kind":"checkpoint","id":"1","key":"k","chain":"0123456789abcdef","seq":1,"prev":"0","sig":"s"}` + "\n" + hopRecord(nil),
			"replayed 1, changed 0, undecidable 0"},
		{"gaps between", `{"time":"2026-06-01T12:00:00Z","kind":"gap","id":"1","cause":"suppressed","count":40,"since":"2026-06-01T12:00:00Z","decision":"deny","reason":"token_missing"}` + "\n" +
			`{"time":"2026-06-01T12:00:00Z","kind":"gap","id":"2","cause":"queue_full","count":2,"since":"2026-06-01T12:00:00Z"}` + "\n" + hopRecord(nil), "replayed 1, changed 0, undecidable 0; not recorded 42"},
		{"a log between", `{"time":1,"level":"INFO","msg":"listening"}` + "\ntime=x level=info\n\n" + hopRecord(nil), "replayed 1, changed 0, undecidable 0; other lines 2"},
		{"half a line", strings.TrimSuffix(hopRecord(nil), "}"), "line 1 is not JSON: unexpected EOF"},
	} {
		report, err := Diff(set, set, strings.NewReader(row.line))
		var text strings.Builder
		if err = errors.Join(err, report.Print(&text)); err != nil || !strings.Contains(text.String(), row.want) {
			t.Errorf("%s: got %v\n%s", row.name, err, text.String())
		}
	}
	if set.Generation() != generation {
		t.Errorf("testdata/tour is generation %s", set.Generation())
	}
}

// An earlier version compared a host that a gateway could read in another way. Its denial is a
// change.
func TestAHostThatAnEarlierVersionRead(t *testing.T) {
	const document = `{apiVersion: meshpass.dev/v1, kind: AccessPolicy, metadata: {name: orders}, spec: {targets: {workloads: [gateway/ingress]}, rules: [{name: read-own-tenant, effect: allow}]}}`
	set := loadSet(t, source.Dir{Files: fstest.MapFS{"p.yaml": {Data: []byte(document)}}})
	line := hopRecord(map[string]any{"callee": "gateway/ingress", "caller": "", "host": "orders.example.", "generation": set.Generation()})
	report, err := Diff(set, set, strings.NewReader(line+"\n"+strings.Replace(line, "example.", "example", 1)))
	if err != nil || report.Replayed != 2 || report.Changed != 1 || report.Changes[0].Now.Reason != "ambiguous_host" || report.Changes[0].Was.Reason != "rule_allowed" {
		t.Errorf("got %+v, %v", report, err)
	}
}

func TestNothingToReplay(t *testing.T) {
	set := loadSet(t, source.OSDir("testdata/tour"))
	for name, row := range map[string]struct {
		text string
		want error
	}{"nothing": {"", ErrNoRecords}, "only logs": {`{"msg":"x"}`, ErrNoRecords}} {
		if _, err := Diff(set, set, strings.NewReader(row.text)); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	cut := gzipped(hopRecord(nil))
	if _, err := Diff(set, set, bytes.NewReader(cut[:len(cut)-8])); err == nil || err.Error() != "line 1: it ends in the middle of compressed data" {
		t.Errorf("compressed records that were cut: got %v", err)
	}
}

// Lines that are too long, and objects of other programs, are counted. Compressed records are read.
func TestOtherLines(t *testing.T) {
	set := loadSet(t, source.OSDir("testdata/tour"))
	text := strings.Repeat("x", 3<<20) + "\n" + `{"kind":"Pod","metadata":{"name":"x"}}` + "\n" + hopRecord(nil) + "\n" + `{"kind":"Event","reason":"Killing"}`
	for name, records := range map[string]io.Reader{"plain": strings.NewReader(text), "gzip": bytes.NewReader(gzipped(text))} {
		r, err := Diff(set, set, records)
		if err != nil || r.Replayed != 1 || r.OtherLines != 3 || r.Undecidable+r.NotByPolicy != 0 {
			t.Errorf("%s: got %v, %+v", name, err, r)
		}
	}
	cut := `{"kind":"check","path":"` + strings.Repeat("x", 3<<20) + `"}`
	if r, err := Diff(set, set, strings.NewReader(cut)); err != nil || r.Undecidable != 1 {
		t.Errorf("a record that is too long: got %v, %+v", err, r)
	}
}

func gzipped(text string) []byte {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, _ = w.Write([]byte(text))
	_ = w.Close() // to a buffer
	return zipped.Bytes()
}
