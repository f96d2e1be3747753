package policy_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy/source"
)

const head = "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: p}\nspec:\n  targets: {workloads: [ns/shop/sa/orders]}\n"

func TestDocumentsThatAreRefused(t *testing.T) {
	rule := func(fields string) string { return head + "  rules:\n  - {name: r, effect: allow, " + fields + "}\n" }
	for _, row := range []struct{ name, text, want string }{
		{"empty file", "", "0.yaml: the file is empty"},
		{"half-written", head + "  rules: [{name: r", "0.yaml:6: a mapping that begins with { does not end: write }, or put its texts in quotes"},
		{"unknown field", head + "  action: deny\n  rules: [{name: r, effect: deny}]\n", `0.yaml:6:3: unknown key "action"; known here: identity, mode, onOutage, public, rules, targets`},
		{"unknown field of a rule", rule("scope: [a]"), `0.yaml:7:30: unknown key "scope" (did you mean "scopes"?); known here: claims, effect, from, mode, name, scopes, to, when`},
		{"another kind", strings.Replace(rule("scopes: [a]"), "AccessPolicy", "Policy", 1), "0.yaml:1:1: kind Policy is no AccessPolicy: move it out of this folder"},
		{"no name", strings.Replace(rule("scopes: [a]"), "name: p", "name: P", 1), "0.yaml:3:18: metadata.name \"P\": use small letters, digits, - and ., at most 63, a letter or digit first and last"},
		{"no rules", head, "0.yaml:5:3: spec has neither rules nor public entries: the document would only deny; write a deny rule for that"},
		{"identity", head + "  identity: maybe\n  rules: [{name: r, effect: deny}]\n", `0.yaml:6:13: identity "maybe": want required or optional`},
		{"empty list", rule("scopes: []"), "0.yaml:7:38: scopes is empty: remove it or give it a value"},
		{"no value", rule("scopes: "), "0.yaml:7:38: scopes has no value: remove it or give it one"},
		{"no effect", head + "  rules: [{name: r}]\n", "0.yaml:6:11: a rule needs an effect: write effect: allow, or effect: deny"},
		{"effect", head + "  rules: [{name: r, effect: permit}]\n", `0.yaml:6:29: effect "permit": write allow or deny`},
		{"no name of a rule", head + "  rules: [{effect: deny}]\n", "0.yaml:6:11: a rule needs a name"},
		{"rule twice", head + "  rules: [{name: r, effect: deny}, {name: r, effect: allow}]\n", `0.yaml:6:43: a second rule is named "r", the first one is in line 6: give each its own name`},
		{"public without paths", head + "  public: [{methods: [GET]}]\n", "0.yaml:6:12: a public entry must list paths"},
		{"target", strings.Replace(rule("scopes: [a]"), "ns/shop/sa/orders", "ns/sh*/sa/orders", 1), `0.yaml:5:25: "ns/sh*/sa/orders": want ns/NAMESPACE/sa/ACCOUNT, with * for a whole segment, or spiffe://DOMAIN/PATH`},
		{"a target of another kind", strings.Replace(rule("scopes: [a]"), "ns/shop/sa/orders", "pod/orders", 1), `0.yaml:5:25: "pod/orders": want ns/NAMESPACE/sa/ACCOUNT, with * for a whole segment, or spiffe://DOMAIN/PATH`},
		{"caller", rule("from: {workloads: [orders]}"), `0.yaml:7:49: "orders": want ns/NAMESPACE/sa/ACCOUNT, with * for a whole segment, or spiffe://DOMAIN/PATH`},
		{"method", rule("to: {methods: [get]}"), `0.yaml:7:45: method "get": methods are written in capitals`},
		{"every method", rule(`to: {methods: ["*"]}`), `0.yaml:7:45: method "*": it means every method: remove methods`},
		{"a wildcard in a method", rule(`to: {methods: ["P*"]}`), `0.yaml:7:45: method "P*": methods are written in capitals, with digits and the signs of a token, such as GET and M-SEARCH`},
		{"a method with a space", rule(`to: {methods: ["GET "]}`), `0.yaml:7:45: method "GET ": methods are written in capitals, with digits`},
		{"a method without a letter", rule(`to: {methods: ["-"]}`), `0.yaml:7:45: method "-": methods are written in capitals, with digits`},
		{"a method in CEL", rule(`when: 'request.method in ["GET", "Delete"]'`), `0.yaml:7:36: when: request.method is compared with "Delete": methods are written in capitals: write DELETE`},
		{"a host in CEL", rule(`when: '"Admin.shop:80" != request.host'`), `0.yaml:7:36: when: request.host is compared with "Admin.shop:80": write "admin.shop", hosts are compared without port`},
		{"a wildcard in CEL", rule(`when: 'request.host == "*.shop"'`), `0.yaml:7:36: when: request.host is compared with "*.shop": write to.hosts, or request.host.endsWith(".shop")`},
		{"the header of the host", rule(`when: 'request.headers["host"] == "a"'`), `0.yaml:7:36: when: header "host" may not be read: use request.method, request.path or request.host`},
		{"a time zone", rule(`when: 'now.getHours("Europe/Berlinn") < 8'`), `0.yaml:7:36: when: getHours("Europe/Berlinn"): no such time zone; write a name of the IANA database such as "Europe/Berlin", "UTC", or an offset such as "-08:00"`},
		{"an offset", rule(`when: 'now.getDayOfWeek("+25:00") == 0'`), `0.yaml:7:36: when: getDayOfWeek("+25:00"): no such time zone`},
		{"the machine's time zone", rule(`when: 'now.getDate("Local") == 1'`), `0.yaml:7:36: when: getDate("Local"): no such time zone`},
		{"an octal number", rule("claims: {tctx.branch: [0123]}"), `0.yaml:7:53: YAML reads 0123 as the number 83: write that, or "0123" with its quotes if it is a text`},
		{"a hexadecimal port", rule("to: {ports: [0x50]}"), `0.yaml:7:43: YAML reads 0x50 as the number 80`},
		{"path", rule(`to: {paths: ["a"]}`), `0.yaml:7:43: path "a": begin it with a slash: /a`},
		{"path with a wildcard inside", rule(`to: {paths: ["/a/*/b"]}`), `0.yaml:7:43: path "/a/*/b": segment "*": want a literal, {name} for one segment, or ** at the end`},
		{"path that can never match", rule(`to: {paths: ["/a//b"]}`), `0.yaml:7:43: path "/a//b": segment "" cannot be in an unambiguous path`},
		{"capture twice", rule(`to: {paths: ["/{a}/{a}"]}`), `0.yaml:7:43: path "/{a}/{a}": {a} is used twice`},
		{"host", rule(`to: {hosts: ["Orders:80"]}`), `0.yaml:7:43: host "Orders:80": write "orders", hosts are compared without port`},
		{"deny on hosts alone", head + "  rules: [{name: r, effect: deny, to: {hosts: [a]}}]\n", "0.yaml:6:47: a deny rule on hosts alone: the client chooses the host, and would choose another"},
		{"allow by the host of a service", strings.Replace(rule("to: {hosts: [a]}"), "ns/shop/sa/orders", "service/shop/orders", 1), "0.yaml:7:42: an allow rule for a service, narrowed by hosts alone: a waypoint routes by the service's address"},
		{"a service as caller", rule("from: {workloads: [service/shop/orders]}"), `0.yaml:7:49: "service/shop/orders": want ns/NAMESPACE/sa/ACCOUNT`},
		{"mode", head + "  mode: dry-run\n  rules: [{name: r, effect: deny}]\n", `0.yaml:6:9: mode "dry-run": want enforce or shadow`},
		{"onOutage", head + "  onOutage: open\n  rules: [{name: r, effect: deny}]\n", `0.yaml:6:13: onOutage "open": want deny or allow`},
		{"mode of a rule", rule("mode: off"), `0.yaml:7:36: mode "off": want enforce or shadow`},
		{"enforced in shadow", strings.Replace(rule("mode: enforce"), "rules:", "mode: shadow\n  rules:", 1), "0.yaml:8:36: mode: enforce in a document that is in shadow: nothing of it is enforced"},
		{"noPrincipal false", rule("from: {noPrincipal: false}"), "0.yaml:7:50: noPrincipal: false sets no condition: remove it"},
		{"noPrincipal and workloads", rule("from: {noPrincipal: true, workloads: [ns/a/sa/b]}"), "0.yaml:7:50: noPrincipal beside workloads: a caller has a name or has none; write two rules"},
		{"a caller at the edge", strings.Replace(rule("from: {workloads: [ns/a/sa/b]}"), "ns/shop/sa/orders", "edge/orders", 1), "0.yaml:7:48: a document that targets the edge: no caller has a name there"},
		{"another escape", rule(`to: {paths: ["/{a}"], allowEncoded: ["%00"]}`), `0.yaml:7:67: escape "%00": want %2F, %5C, %25, %3B, %3F or %23`},
		{"an escape without a capture", rule(`to: {paths: ["/a"], allowEncoded: ["%2F"]}`), "0.yaml:7:64: allowEncoded admits escapes inside a capture only: write {name} in to.paths"},
		{"scopes in one text", rule("scopes: [a b]"), `0.yaml:7:39: scope "a b": write one scope in each entry`},
		{"claim", rule("claims: {tenant: [a]}"), `0.yaml:7:47: claim "tenant": write tctx.tenant for what gateways add; other claims are iss, aud, sub, txn, scope, req_wl, tctx, rctx`},
		{"a whole object", rule("claims: {tctx: [a]}"), `0.yaml:7:45: claim "tctx": name a member, as in tctx.tenant`},
		{"a claim's value", rule("claims: {tctx.a: [1.5]}"), "0.yaml:7:48: claim tctx.a: want a text, a whole number, true or false; put anything else that a token has as a text in quotes"},
		{"CEL syntax", rule("when: 'a =='"), "0.yaml:7:36: when: the expression ends too early: something is missing at its end"},
		{"CEL name", rule("when: 'claims.tctxx.a == 1'"), "0.yaml:7:36: when: claims.tctxx is not known: write claims.tctx, or claims.tctx.tctxx for what gateways add (character 1)"},
		{"CEL type", rule("when: 'request.port == \"80\"'"), "0.yaml:7:36: when: == cannot compare int with string: write both as the same type, texts in quotes (character 14)"},
		{"CEL dyn", rule("when: claims.tctx.admin"), "0.yaml:7:36: when: its type is dyn, not bool: compare the value, as in claims.tctx.admin == true"},
		{"a bad regular expression", rule("when: 'request.host.matches(\"(\")'"), "0.yaml:7:36: when: invalid matches argument"},
		{"a regular expression of the client's", rule("when: 'claims.sub.matches(request.headers[\"x-p\"])'"), "0.yaml:7:36: when: matches() with a pattern that is not written out"},
		{"one that is put together", rule("when: 'matches(claims.sub, \"a\" + request.path)'"), "0.yaml:7:36: when: matches() with a pattern that is not written out"},
		{"port", rule("to: {ports: [70000]}"), "0.yaml:7:43: port 70000: want 1 to 65535"},
		{"an empty member", rule("claims: {tctx.a..b: [x]}"), `0.yaml:7:50: claim "tctx.a..b": want one of`},
		{"capture unbound", rule(`to: {paths: ["/a"]}, when: 'path.b == "x"'`), "0.yaml:7:57: when: path.b is not bound: no path of this rule has {b}"},
		{"capture bound by some", rule(`to: {paths: ["/{b}", "/a"]}, when: 'path.b == "x"'`), "0.yaml:7:65: when: path.b is not bound by every path of this rule: guard it with has(path.b), or split the rule"},
		{"all headers", rule("when: request.headers.size() > 3"), `0.yaml:7:36: when: request.headers is used as a whole: name the header, as in request.headers["x-name"]`},
		{"a secret header", rule(`when: 'request.headers["authorization"] == "x"'`), `0.yaml:7:36: when: header "authorization" may not be read: it is a credential, and records hold what rules read`},
		{"a forged header", rule(`when: 'request.headers["x-forwarded-for"] == "10.0.0.1"'`), `0.yaml:7:36: when: header "x-forwarded-for" may not be read: any client can write it`},
		{"Envoy's own header", rule(`when: '"x-envoy-original-path" in request.headers'`), `0.yaml:7:36: when: header "x-envoy-original-path" may not be read`},
		{"one of ours", rule(`when: 'request.headers["x-meshpass-user"] == "a"'`), `0.yaml:7:36: when: header "x-meshpass-user" may not be read`},
		{"a pseudo-header", rule(`when: 'request.headers[":path"] == "/"'`), `0.yaml:7:36: when: header ":path" may not be read: use request.method, request.path or request.host`},
		{"a header in capitals", rule(`when: 'request.headers["X-Name"] == "x"'`), `0.yaml:7:36: when: header "X-Name": write "x-name", names are lower-case here`},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := (source.Loader{}).Load(files(row.text))
			if err == nil || !strings.HasPrefix(err.Error(), row.want) {
				t.Errorf("got\n%v\nwant\n%s", err, row.want)
			}
		})
	}
}

func TestAllProblemsTogether(t *testing.T) {
	_, err := (source.Loader{}).Load(files(head+"  rules: [{name: r, effect: x, scopes: [a b]}]\n", "kind: Q\n", orders, orders))
	var problems strictyaml.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{"0.yaml:6:29:", "0.yaml:6:41:", "1.yaml:1:1:", `2.yaml:4:18: a document "orders" is in 3.yaml too: names are unique in a folder`, `3.yaml:4:18: a document "orders" is in 2.yaml too`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not among\n%v", want, err)
		}
	}
}

func TestFolders(t *testing.T) {
	if _, err := (source.Loader{}).Load(source.Dir{Name: "etc", Files: fstest.MapFS{}}); err == nil || err.Error() != "etc: no *.yaml file: without a document every request is denied" {
		t.Errorf("empty: %v", err)
	}
	if _, err := (source.Loader{}).Load(source.OSDir("/does/not/exist")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("missing: %v", err)
	}
	_, err := (source.Loader{}).Load(source.Dir{Name: "a", Files: fstest.MapFS{}}, source.Dir{Name: "b", Files: fstest.MapFS{"p.yaml": {Data: []byte("")}}})
	if want := "a: no *.yaml file: without a document every request is denied\nb/p.yaml: the file is empty"; err == nil || err.Error() != want {
		t.Errorf("two folders: got\n%v\nwant\n%s", err, want)
	}
	// A folder as a mounted ConfigMap has it: versions in hidden folders, and text files beside.
	mounted := fstest.MapFS{
		"..2026_01/orders.yaml": {Data: []byte("broken: [")},
		".hidden.yaml":          {Data: []byte("broken: [")},
		"README.md":             {Data: []byte("text")},
		"team/orders.yaml":      {Data: []byte(orders)},
		"both.yml":              {Data: []byte(public + "---" + strings.Replace(public, "name: catalogue", "name: two", 1))},
	}
	set, err := (source.Loader{}).Load(source.Dir{Files: mounted})
	if err != nil || set.Len() != 3 {
		t.Fatalf("got %v, %v", set, err)
	}
	again, err := (source.Loader{}).Load(source.Dir{Files: mounted})
	if err != nil || again.Generation() != set.Generation() || set.Generation() == "" {
		t.Errorf("the same content has generations %q and %q", set.Generation(), again.Generation())
	}
	if other := load(t, orders); other.Generation() == set.Generation() {
		t.Error("other content has the same generation")
	}
}

// If the members that gateways write are known, a misspelt claim does not load.
func TestClaimsThatNoTokenHas(t *testing.T) {
	loader := source.Loader{Members: []string{"tenant", "plan"}}
	for fields, want := range map[string]string{
		"when: claims.tctx.tennant == 'a'":                 "0.yaml:6:41: claims.tctx.tennant is in no token: the known members are api, auth, org, plan, sid, tenant",
		"claims: {tctx.plam: [gold]}":                      "0.yaml:6:55: claims.tctx.plam is in no token",
		"when: has(claims.tctx.tennant.x)":                 "0.yaml:6:41: claims.tctx.tennant is in no token",
		"claims: {tctx.plan: [gold], tctx.api.id: [a]}":    "",
		"when: claims.tctx.tenant == claims.rctx.anything": "",
	} {
		_, err := loader.Load(files(head + "  rules: [{name: r, effect: deny, " + fields + "}]\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%s: got %v", fields, err)
		}
	}
}

// If the headers that sidecars send are known, a rule for workloads that reads another one does not load.
func TestHeadersThatNoSidecarSends(t *testing.T) {
	const rule = `  rules: [{name: r, effect: deny, when: "request.headers['x-b'] == 'b' || has(request.headers.x_c)"}]` + "\n"
	const missing = `0.yaml:6:41: when: the header "x_c" is not among the allowed headers, so no sidecar sends it: ` +
		"add it with meshpass istio headers, and apply that to the mesh first"
	for _, row := range []struct {
		name, targets string
		allowed       []string
		want          string
		read          []string // of sidecars, once it is loaded
	}{
		{"all", "ns/shop/sa/orders", nil, "", []string{"x-b", "x_c"}},
		{"both", "ns/shop/sa/*", []string{"x-a", "x-b", "x_c"}, "", []string{"x-b", "x_c"}},
		{"one", "ns/shop/sa/*", []string{"x-a", "x-b"}, missing, nil},
		{"none", "ns/shop/sa/orders", []string{}, strings.Replace(missing, "x_c", "x-b", 1) + "\n" + missing, nil},
		{"no sidecar", "service/shop/orders, gateway/in, edge/orders", []string{}, "", nil},
		{"a sidecar too", "service/shop/orders, ns/shop/sa/orders", []string{"x-b"}, missing, nil},
	} {
		loader := source.Loader{AllowedHeaders: row.allowed, Memory: new(source.Memory)}
		written := files(strings.Replace(head, "ns/shop/sa/orders", row.targets, 1) + rule)
		set, err := loader.Load(written)
		if row.want == "" && err != nil || row.want != "" && (err == nil || err.Error() != row.want) {
			t.Errorf("%s: got %v, want %s", row.name, err, row.want)
			continue
		}
		if err == nil && !slices.Equal(set.SidecarHeaders(), row.read) {
			t.Errorf("%s: sidecars have to send %q", row.name, set.SidecarHeaders())
		}
		loader.AllowedHeaders = nil // what was compiled is not used with another list
		if _, err := loader.Load(written); err != nil {
			t.Errorf("%s, then all: %v", row.name, err)
		}
	}
}

// A workload of the mesh's own trust domain has one name in documents. A deny rule with
// another name would never match.
func TestTheLongFormOfALocalWorkload(t *testing.T) {
	text := strings.Replace(orders, "ns/batch/sa/*", "spiffe://cluster.local/ns/batch/sa/x", 1)
	loader := source.Loader{Domains: identity.TrustDomains{Local: "cluster.local"}}
	_, err := loader.Load(files(text))
	if want := `write ns/batch/sa/x, the trust domain is the mesh's own`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	if _, err := loader.Load(files(strings.Replace(text, "cluster.local", "other.example", 1))); err != nil {
		t.Error(err)
	}
}

// Names that Kubernetes would not give are written in the long form, and matched.
func TestALocalWorkloadInCapitals(t *testing.T) {
	text := head + "  rules:\n  - {name: no-job, effect: deny, from: {workloads: [NAME]}}\n  - {name: all, effect: allow, from: {workloads: [ns/shop/sa/*]}}\n"
	loader := source.Loader{Domains: identity.TrustDomains{Local: "cluster.local", Aliases: []string{"old.example"}}}
	for name, want := range map[string]string{
		"ns/shop/sa/My_Job":                      "a workload with exactly this name is written spiffe://cluster.local/ns/shop/sa/My_Job",
		"spiffe://old.example/ns/shop/sa/My_Job": "write spiffe://cluster.local/ns/shop/sa/My_Job, the trust domain is an alias of the mesh's own",
		"spiffe://cluster.local/ns/shop/sa/../x": "not a SPIFFE id",
	} {
		if _, err := loader.Load(files(strings.Replace(text, "NAME", name, 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
	}
	set, err := loader.Load(files(strings.Replace(text, "NAME", "spiffe://cluster.local/ns/shop/sa/My_Job", 1)))
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{"My_Job": "deny rule_denied p/no-job", "my_job": "allow rule_allowed p/all"} {
		w, err := loader.Domains.ParseWorkload("spiffe://cluster.local/ns/shop/sa/" + id)
		if err != nil {
			t.Fatal(err)
		}
		if got := describe(set.Decide(request(caller(w)), alice(nil))); got != want {
			t.Errorf("%s: got %s, want %s", id, got, want)
		}
	}
}

// Methods are tokens of RFC 9110 without small letters. Numbers are as JSON writes them. A time zone
// does not depend on the machine.
func TestMethodsNumbersAndZones(t *testing.T) {
	set := load(t, head+`  rules:
    - {name: dav, effect: allow, to: {methods: [VERSION-CONTROL, M-SEARCH, "#X!.1"]}}
    - {name: branch, effect: allow, to: {methods: [GET]}, claims: {tctx.branch: ["0123", 7, -7, 0, 10]}}
    - {name: night, effect: allow, to: {methods: [PUT]}, when: 'now.getHours("Europe/Berlin") == 14 && now.getHours("-08:00") == 4 && now.getHours("UTC") == 12'}
`)
	for _, row := range []struct {
		method string
		branch any
		want   string
	}{
		{"VERSION-CONTROL", "x", "allow rule_allowed p/dav"}, {"M-SEARCH", "x", "allow rule_allowed p/dav"}, {"#X!.1", "x", "allow rule_allowed p/dav"},
		{"m-search", "x", "deny ambiguous_method"},
		{"GET", "0123", "allow rule_allowed p/branch"}, {"GET", int64(83), "deny no_rule"}, {"GET", int64(-7), "allow rule_allowed p/branch"},
		{"PUT", "x", "allow rule_allowed p/night"},
	} {
		if got := describe(set.Decide(request(method(row.method)), alice(map[string]any{"branch": row.branch}))); got != row.want {
			t.Errorf("%s, %v: got %s, want %s", row.method, row.branch, got, row.want)
		}
	}
}

// Behind a waypoint, a host does not narrow an allow rule. Beside a path it does no harm. The
// callee of a sidecar is known by its certificate.
func TestHostsInAllowRules(t *testing.T) {
	allow := func(target, to string) string {
		return strings.Replace(head, "ns/shop/sa/orders", target, 1) + "  rules: [{name: r, effect: allow, to: {" + to + "}}]\n"
	}
	for _, text := range []string{
		allow("service/shop/orders", "hosts: [a], paths: [/a]"), allow("ns/shop/sa/orders", "hosts: [a]"), allow("gateway/ingress", "hosts: [a]"),
	} {
		if _, err := (source.Loader{}).Load(files(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An ignored part may hold a deny rule, so no part is ignored without a problem.
func TestNothingIsPassedOverInSilence(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(dir, "A.YAML"), orders)
	if set, err := (source.Loader{}).Load(source.OSDir(dir)); err != nil || set.Len() != 1 {
		t.Errorf("an extension in capitals: %v, %v", set, err)
	}
	if err := os.Symlink(other, filepath.Join(dir, "team")); err != nil {
		t.Fatal(err)
	}
	_, err := (source.Loader{}).Load(source.OSDir(dir))
	if want := "team is a symbolic link to a folder"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("a linked folder: got %v, want %q", err, want)
	}
}

func TestMembershipIsRecorded(t *testing.T) {
	set := load(t, head+`  rules: [{name: r, effect: allow, when: '"staff" in claims.tctx.groups && "tenant" in claims.tctx'}]`)
	claims, _ := alice(map[string]any{"groups": []any{"staff"}})()
	if got, want := fmt.Sprint(set.Inputs(request(), claims)), "map[claims.tctx.groups:[staff] claims.tctx.tenant:acme]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if d := set.Decide(request(), alice(map[string]any{"groups": []any{"staff"}})); !d.Allowed() {
		t.Errorf("got %s", describe(d))
	}
}

// A record holds whether a caller could have had a name, if a rule reads it.
func TestTheListenersSayIsRecorded(t *testing.T) {
	set := load(t, head+`  rules: [{name: r, effect: allow, from: {noPrincipal: true}}]`)
	for noCaller, want := range map[bool]string{true: "allow rule_allowed p/r map[request.no_caller:true]", false: "deny condition_error p/r map[request.no_caller:false]"} {
		r := request(caller(""))
		r.NoCaller = noCaller
		if got := describe(set.Decide(r, alice(nil))) + " " + fmt.Sprint(set.Inputs(r, nil)); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if got := describe(set.Decide(request(), alice(nil))); got != "deny no_rule" {
		t.Errorf("a caller with a name: got %s", got)
	}
}

func TestAGuardedCapture(t *testing.T) {
	set := load(t, head+`  rules: [{name: r, effect: allow, to: {paths: ["/{b}", "/a/b"]}, when: '!has(path.b) || path.b == "x"'}]`)
	for p, want := range map[string]bool{"/x": true, "/y": false, "/a/b": true} {
		if got := set.Decide(request(path(p)), alice(nil)).Allowed(); got != want {
			t.Errorf("%s: got %v", p, got)
		}
	}
}

func TestACostlyExpressionIsUndecided(t *testing.T) {
	set := load(t, head+`  rules: [{name: r, effect: allow, when: 'claims.tctx.l.all(a, claims.tctx.l.all(b, claims.tctx.l.all(c, a >= 0 && b >= 0 && c >= 0)))'}]`)
	long := make([]any, 100)
	for i := range long {
		long[i] = int64(i)
	}
	d := set.Decide(request(), alice(map[string]any{"l": long}))
	if got := describe(d); got != "deny condition_error p/r" {
		t.Errorf("got %s", got)
	}
}

// Cases are in the same folders as documents. A document in a file of cases still counts.
func TestCasesAreNoDocuments(t *testing.T) {
	for name, want := range map[string]bool{"a_test.yaml": true, "a.test.YML": true, "test.yaml": false, "a-test.yaml": false, "a_test.yaml.yaml": false} {
		if source.IsCases(name) != want {
			t.Errorf("%s: want %t", name, want)
		}
	}
	tree := fstest.MapFS{"a.yaml": {Data: []byte(orders)}, "a_test.yaml": {Data: []byte("kind: PolicyTest\ncases: [")}}
	set, err := (source.Loader{}).Load(source.Dir{Files: tree})
	if err != nil || set.Len() != 1 {
		t.Fatalf("got %v, %v", set, err)
	}
	tree["a_test.yaml"] = &fstest.MapFile{Data: []byte("# cases of an AccessPolicy\nkind: PolicyTest\ncases: [{name: reads the AccessPolicy}]")}
	if set, err = (source.Loader{}).Load(source.Dir{Files: tree}); err != nil || set.Len() != 1 {
		t.Errorf("cases that speak of documents: got %v, %v", set, err)
	}
	for _, text := range []string{"kind: AccessPolicy\nspec: [", "kind: AccessPolicy\nkind: AccessPolicy\n"} {
		tree["a_test.yaml"] = &fstest.MapFile{Data: []byte(text)}
		if _, err = (source.Loader{}).Load(source.Dir{Files: tree}); err == nil {
			t.Errorf("what may be a document, and cannot be read, is passed over: %s", text)
		}
	}
	tree["a_test.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(public, "AccessPolicy", `"Access\x50olicy"`, 1))}
	if set, err = (source.Loader{}).Load(source.Dir{Files: tree}); err != nil || set.Len() != 2 {
		t.Errorf("a document whose kind is written otherwise: got %v, %v", set, err)
	}
	tree["a_test.yaml"] = &fstest.MapFile{Data: []byte(public)}
	if set, err = (source.Loader{}).Load(source.Dir{Files: tree}); err != nil || set.Len() != 2 {
		t.Errorf("a document in a file of cases: got %v, %v", set, err)
	}
}
