package policy_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// advice is one warning, and the document after its advice was followed.
type advice struct {
	code          lint.Code
	says          string // the advice, as the message has it
	before, after string // rules, or whole documents where they begin with apiVersion
	more          string // a second document, in a guardrail folder, of after

	// opens reports the requests that the advice allows on purpose, as its message
	// explains; nil: it allows no request.
	opens func(policy.Request, *identity.Claims) bool
}

const (
	allowAll   = "  - {name: all, effect: allow, to: {paths: ['/**']}}\n"
	suspended  = "  - {name: d, effect: deny, claims: {tctx.status: [suspended]}%s}\n"
	deniesWhen = "  - {name: d, effect: deny, when: \"%s\"}\n"
	allowsWhen = "  - {name: a, effect: allow, when: \"%s\"}\n"
)

func lacksStatus(_ policy.Request, claims *identity.Claims) bool {
	_, has := claims.Lookup("tctx", "status")
	return !has
}

func hasPath(want string) func(policy.Request, *identity.Claims) bool {
	return func(r policy.Request, _ *identity.Claims) bool { return r.Path == want }
}

// A person who follows the advice of a warning allows no request that was denied before,
// but for those that the warning itself names.
var advices = []advice{
	{code: lint.Unreachable, says: "remove this rule",
		before: "  - {name: x, effect: allow, to: {paths: [/admin]}, scopes: [s]}\n  - {name: d, effect: deny, to: {paths: [/admin]}}\n",
		after:  "  - {name: d, effect: deny, to: {paths: [/admin]}}\n"},
	{code: lint.ShadowedAllow, says: "remove this rule",
		before: "  - {name: a, effect: allow, scopes: [s]}\n  - {name: b, effect: allow, scopes: [s, t]}\n",
		after:  "  - {name: a, effect: allow, scopes: [s]}\n"},
	{code: lint.RedundantDeny, says: "remove this rule",
		before: allowAll + "  - {name: d, effect: deny, to: {paths: [/admin]}}\n  - {name: e, effect: deny, to: {methods: [POST], paths: [/admin]}}\n",
		after:  allowAll + "  - {name: d, effect: deny, to: {paths: [/admin]}}\n"},
	{code: lint.Wildcard, says: "name the workloads",
		before: strings.Replace(head, "orders]", "*]", 1) + "  rules:\n" + allowAll,
		after:  head + "  rules:\n" + allowAll},
	{code: lint.Wildcard, says: "keep its deny rules in a guardrail folder",
		before: strings.Replace(head, "orders]", "*]", 1) + "  rules:\n" + allowAll + "  - {name: d, effect: deny, to: {paths: [/admin]}}\n",
		after:  head + "  rules:\n" + allowAll,
		more:   strings.NewReplacer("orders]", "*]", "name: p}", "name: rails}").Replace(head) + "  rules:\n  - {name: d, effect: deny, to: {paths: [/admin]}}\n"},
	{code: lint.Wildcard, says: "name them",
		before: "  - {name: a, effect: allow, from: {workloads: [ns/edge/sa/*]}}\n",
		after:  "  - {name: a, effect: allow, from: {workloads: [ns/edge/sa/tyk]}}\n"},
	{code: lint.OpenRule, says: "add from, to, scopes or claims",
		before: "  - {name: a, effect: allow}\n", after: "  - {name: a, effect: allow, scopes: [s]}\n"},
	{code: lint.UnguardedClaim, says: "keep claims and add when: has(claims.tctx.status)",
		before: allowAll + fmt.Sprintf(suspended, ""), after: allowAll + fmt.Sprintf(suspended, ", when: has(claims.tctx.status)"), opens: lacksStatus},
	{code: lint.UnguardedClaim, says: "keep claims and write when: has(claims.tctx.status) && (claims.sub == 'idp:a' || request.method == 'GET')",
		before: allowAll + fmt.Sprintf(suspended, ", when: \"claims.sub == 'idp:a' || request.method == 'GET'\""),
		after:  allowAll + fmt.Sprintf(suspended, ", when: \"has(claims.tctx.status) && (claims.sub == 'idp:a' || request.method == 'GET')\""), opens: lacksStatus},
	{code: lint.UnguardedClaim, says: "put has(claims.tctx.status) && directly before each comparison that reads it",
		before: allowAll + fmt.Sprintf(deniesWhen, "claims.tctx.status == 'suspended' || request.method == 'POST'"),
		after:  allowAll + fmt.Sprintf(deniesWhen, "has(claims.tctx.status) && claims.tctx.status == 'suspended' || request.method == 'POST'"), opens: lacksStatus},
	{code: lint.UncertainKind, says: "list the values under claims: {tctx.status: [VALUE]}, beside when: has(claims.tctx.status) if it may be missing",
		before: allowAll + fmt.Sprintf(deniesWhen, "has(claims.tctx.status) && claims.tctx.status == 'suspended'"),
		after:  allowAll + fmt.Sprintf(suspended, ", when: has(claims.tctx.status)")},
	{code: lint.UncertainKind, says: "list the values under claims: {tctx.status: [VALUE]}",
		before: allowAll + fmt.Sprintf(deniesWhen, "claims.tctx.status in ['suspended']"), after: allowAll + fmt.Sprintf(suspended, "")},
	{code: lint.UncertainKind, says: "list the values that are allowed under claims: {tctx.status: [VALUE]}",
		before: fmt.Sprintf(allowsWhen, "claims.tctx.status != 'suspended'"), after: "  - {name: a, effect: allow, claims: {tctx.status: [active]}}\n"},
	{code: lint.UncertainKind, says: "or put type(claims.tctx.status) == string && before it",
		before: fmt.Sprintf(allowsWhen, "!(claims.tctx.status in ['suspended'])"),
		after:  fmt.Sprintf(allowsWhen, "type(claims.tctx.status) == string && !(claims.tctx.status in ['suspended'])")},
	{code: lint.UnguardedClaim, says: "keep claims and add when: has(claims.tctx.status) && has(claims.tctx.status.suspended)",
		before: allowAll + "  - {name: d, effect: deny, claims: {tctx.status.suspended: [true]}}\n",
		after:  allowAll + "  - {name: d, effect: deny, claims: {tctx.status.suspended: [true]}, when: has(claims.tctx.status) && has(claims.tctx.status.suspended)}\n",
		opens: func(_ policy.Request, claims *identity.Claims) bool {
			_, has := claims.Lookup("tctx", "status", "suspended")
			return !has
		}},
	{code: lint.UnguardedClaim, says: "keep claims and add when: ('my-status' in claims.tctx)",
		before: allowAll + "  - {name: d, effect: deny, claims: {tctx.my-status: [suspended]}}\n",
		after:  allowAll + "  - {name: d, effect: deny, claims: {tctx.my-status: [suspended]}, when: ('my-status' in claims.tctx)}\n", opens: func(policy.Request, *identity.Claims) bool { return true }},
	{code: lint.UncertainKind, says: "write (type(claims.tctx.status) != string || COMPARISON) in its place",
		before: allowAll + fmt.Sprintf(deniesWhen, "has(claims.tctx.status) && claims.tctx.status == 'suspended' || request.method == 'POST'"),
		after:  allowAll + fmt.Sprintf(deniesWhen, "has(claims.tctx.status) && (type(claims.tctx.status) != string || claims.tctx.status == 'suspended') || request.method == 'POST'")},
	{code: lint.UncertainKind, says: "or give it a deny rule of its own with claims: {tctx.status: [VALUE]}",
		before: allowAll + fmt.Sprintf(deniesWhen, "claims.tctx.status == 'suspended' || request.method == 'POST'"),
		after:  allowAll + fmt.Sprintf(deniesWhen, "request.method == 'POST'") + "  - {name: e, effect: deny, claims: {tctx.status: [suspended]}}\n"},
	{code: lint.UncertainKind, says: "write (type(claims.tctx.status) != string || COMPARISON) in its place, with its negation inside",
		before: allowAll + fmt.Sprintf(deniesWhen, "!(claims.tctx.status != claims.scope + 'uspended')"),
		after:  allowAll + fmt.Sprintf(deniesWhen, "(type(claims.tctx.status) != string || !(claims.tctx.status != claims.scope + 'uspended'))")},
	{code: lint.UncertainKind, says: "put type(claims.tctx.status) == list && before it, outside of its negation",
		before: fmt.Sprintf(allowsWhen, "!('active' in claims.tctx.status)"), after: fmt.Sprintf(allowsWhen, "type(claims.tctx.status) == list && !('active' in claims.tctx.status)")},
	{code: lint.GuardrailToken, says: "write from and to alone",
		before: guardrail(fmt.Sprintf(suspended, "")), after: guardrail("  - {name: d, effect: deny, to: {paths: ['/**']}}\n")},
	{code: lint.LiteralPattern, says: "write {id}",
		before: allowAll + "  - {name: d, effect: deny, to: {paths: ['/orders/:id']}}\n", after: allowAll + "  - {name: d, effect: deny, to: {paths: ['/orders/{id}']}}\n"},
	{code: lint.LiteralPattern, says: "if it means any value, write {id}",
		before: "  - {name: a, effect: allow, to: {paths: ['/orders/:id']}}\n", after: "  - {name: a, effect: allow, to: {paths: ['/orders/{id}']}}\n", opens: hasPath("/orders/1")},
	{code: lint.UnknownMethod, says: `did you mean "DELETE"?`,
		before: allowAll + "  - {name: d, effect: deny, to: {methods: [DELET, POST]}}\n", after: allowAll + "  - {name: d, effect: deny, to: {methods: [DELETE, POST]}}\n"},
	{code: lint.DenyRoot, says: "add /admin to paths",
		before: allowAll + "  - {name: d, effect: deny, to: {paths: ['/admin/**']}}\n", after: allowAll + "  - {name: d, effect: deny, to: {paths: ['/admin/**', /admin]}}\n"},
	{code: lint.DenySlash, says: "add /admin/ to paths",
		before: allowAll + "  - {name: d, effect: deny, to: {paths: [/admin]}}\n", after: allowAll + "  - {name: d, effect: deny, to: {paths: [/admin, /admin/]}}\n"},
	{code: lint.PublicFirst, says: "narrow that public entry",
		before: head + "  public: [{paths: ['/orders/**']}]\n  rules:\n" + fmt.Sprintf(suspended, ", to: {paths: [/orders/1, /orders/1/]}"),
		after:  head + "  public: [{paths: ['/orders/:id']}]\n  rules:\n" + fmt.Sprintf(suspended, ", to: {paths: [/orders/1, /orders/1/]}")},
	{code: lint.PublicFirst, says: "put this rule into a guardrail folder",
		before: head + "  public: [{paths: ['/orders/**']}]\n  rules:\n" + allowAll + fmt.Sprintf(suspended, ", to: {paths: [/orders/1, /orders/1/]}"),
		after:  head + "  public: [{paths: ['/orders/**']}]\n  rules:\n" + allowAll,
		more:   strings.Replace(head, "name: p}", "name: rails}", 1) + "  rules:\n" + fmt.Sprintf(suspended, ", to: {paths: [/orders/1, /orders/1/]}")},
	{code: lint.DenyGetNotHead, says: "add HEAD to methods",
		before: allowAll + "  - {name: d, effect: deny, to: {methods: [GET, POST]}}\n", after: allowAll + "  - {name: d, effect: deny, to: {methods: [GET, HEAD, POST]}}\n"},
	{code: lint.MethodOverride, says: "add the guardrail manifests/guardrails/method-override.yaml",
		before: allowAll + "  - {name: d, effect: deny, to: {methods: [DELETE]}}\n", after: allowAll + "  - {name: d, effect: deny, to: {methods: [DELETE]}}\n",
		more: shipped("../../manifests/guardrails/method-override.yaml")},
}

func guardrail(rules string) string {
	return "# guardrail\n" + head + "  identity: optional\n  public: [{paths: [/healthz]}]\n  rules:\n" + rules
}

func shipped(file string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (a advice) dirs(text string, second bool) []source.Dir {
	if !strings.Contains(text, "apiVersion") {
		text = head + "  rules:\n" + text
	}
	first := files(text)
	first.Guardrail = strings.HasPrefix(text, "# guardrail")
	if second && a.more != "" {
		rails := files(a.more)
		rails.Name, rails.Guardrail = "rails", true
		return []source.Dir{first, rails}
	}
	return []source.Dir{first}
}

func TestAdviceIsSafe(t *testing.T) {
	for i, a := range advices {
		t.Run(fmt.Sprintf("%d %s", i, a.code), func(t *testing.T) {
			problems, found := lint.Run(source.Loader{}, a.dirs(a.before, false)...)
			said := slices.ContainsFunc(found, func(w lint.Warning) bool { return w.Code == a.code && strings.Contains(w.Message, a.says) })
			if len(problems) > 0 || !said {
				t.Fatalf("before: %v\n%v", problems, found)
			}
			problems, found = lint.Run(source.Loader{}, a.dirs(a.after, true)...)
			if len(problems) > 0 || slices.ContainsFunc(found, func(w lint.Warning) bool { return w.Code == a.code && strings.Contains(w.Message, a.says) }) {
				t.Fatalf("after: %v\n%v", problems, found)
			}
			a.compare(t)
		})
	}
}

func (a advice) compare(t *testing.T) {
	t.Helper()
	before, err := (source.Loader{}).Load(a.dirs(a.before, false)...)
	if err != nil {
		t.Fatal(err)
	}
	after, err := (source.Loader{}).Load(a.dirs(a.after, true)...)
	if err != nil {
		t.Fatal(err)
	}
	changed, opened := 0, 0
	for _, r := range adviceRequests() {
		for _, claims := range adviceTokens() {
			auth := func() (*identity.Claims, decision.Reason) {
				if claims == nil {
					return nil, decision.TokenMissing
				}
				return claims, ""
			}
			earlier, later := before.Decide(r, auth), after.Decide(r, auth)
			if earlier.Allowed() == later.Allowed() {
				continue
			}
			changed++
			if !later.Allowed() {
				continue
			}
			if a.opens == nil || claims == nil || !a.opens(r, claims) {
				t.Errorf("%s %s %v of %s by %s, %+v: %s before, %s after the advice", r.Method, r.Path, r.Headers, r.Callee, r.Caller, claims, earlier.Reason, later.Reason)
			}
			opened++
		}
	}
	if a.opens != nil && opened == 0 {
		t.Error("the advice opens nothing: no request shows what it is for")
	}
	removes := []lint.Code{lint.Unreachable, lint.ShadowedAllow, lint.RedundantDeny}
	if changed == 0 && !slices.Contains(removes, a.code) {
		t.Error("the advice changes no decision")
	}
}

func adviceRequests() []policy.Request {
	var all []policy.Request
	for _, callee := range []identity.Workload{"ns/shop/sa/orders", "ns/shop/sa/new"} {
		for _, caller := range []identity.Workload{"ns/edge/sa/tyk", "ns/edge/sa/new"} {
			for _, method := range []string{"GET", "HEAD", "POST", "DELETE"} {
				for _, path := range []string{"/", "/admin", "/admin/", "/admin/x", "/orders/1", "/orders/:id", "/orders/%3Aid", "/healthz"} {
					for _, headers := range []map[string]string{{}, {"x-http-method-override": "DELETE"}} {
						all = append(all, policy.Request{Callee: callee, Caller: caller, Method: method, Path: path, Headers: headers, Host: "orders"})
					}
				}
			}
		}
	}
	return all
}

// adviceTokens hold the claim in every kind that JSON has, and not at all.
func adviceTokens() []*identity.Claims {
	all := []*identity.Claims{nil, {Subject: "idp:c"}, {Subject: "idp:a", Scope: "s"}, {Subject: "idp:a", Scope: "s t", Tctx: map[string]any{"role": "x"}}}
	for _, status := range []any{"suspended", "active", "", true, false, int64(1), 1.5, nil, []any{"suspended"}, []any{"active"}, []any{}, []any{[]any{"suspended"}}, map[string]any{"suspended": true}, map[string]any{"suspended": "x"}, map[string]any{}} {
		for _, sub := range []string{"idp:a", "idp:b"} {
			all = append(all, &identity.Claims{Subject: sub, Scope: "s", Tctx: map[string]any{"status": status}})
		}
	}
	return all
}

// Each kind of warning has its advice executed, or proposes no change of a document.
func TestEveryAdviceIsExecuted(t *testing.T) {
	without := map[lint.Code]string{
		lint.OutageAllow:   "says what onOutage: allow means",
		lint.CostlyRegex:   "says which texts cannot be decided; what a shorter pattern matches is for its author to know",
		lint.FileNotRead:   "is about the name of a file; see TestFilesThatAreNotRead",
		lint.ConfigMapSize: "is about the size of a folder; see TestFoldersOfAConfigMapsSize",
		lint.NativeIstio:   "says that another product can do it",
	}
	for _, code := range lint.Codes() {
		executed := slices.ContainsFunc(advices, func(a advice) bool { return a.code == code })
		if _, excused := without[code]; executed == excused {
			t.Errorf("%s: executed %t, excused %t", code, executed, excused)
		}
	}
}

// A correct deny rule gets no warning: a claim with has() beside it.
func TestNoWarningOfWhatIsRight(t *testing.T) {
	for _, rules := range []string{
		fmt.Sprintf(suspended, ", when: has(claims.tctx.status)"),
		fmt.Sprintf(suspended, ", when: \"has(claims.tctx.status) && request.method == 'GET'\""),
		"  - {name: d, effect: deny, to: {methods: [GET, HEAD, POST], paths: ['/admin/**', /admin]}}\n",
		"  - {name: d, effect: deny, to: {methods: [GET, POST], paths: [/x, /x/]}}\n  - {name: e, effect: deny, to: {methods: [HEAD, PUT, POST], paths: [/x, /x/]}}\n",
		// A request that no rule allows needs no deny rule.
		"  - {name: a, effect: allow, to: {methods: [GET, DELETE], paths: ['/admin/**', /x]}, scopes: [s]}\n  - {name: d, effect: deny, to: {methods: [GET], paths: ['/admin/x/**', /x]}, claims: {sub: [a]}}\n  - {name: e, effect: deny, to: {methods: [DELETE]}, claims: {sub: [b]}}\n  - {name: f, effect: deny, to: {paths: [/admin/x, /admin/x/]}}\n",
		"  - {name: d, effect: deny, to: {paths: [/robots.txt]}}\n",
		"  - {name: d, effect: deny, to: {paths: ['/**']}}\n",
		"  - {name: a, effect: allow, when: claims.sub != 'idp:a'}\n",
		"  - {name: a, effect: allow, when: \"type(claims.tctx.role) == string && claims.tctx.role != 'guest'\"}\n",
		"  - {name: a, effect: allow, when: claims.tctx.role == 'admin'}\n",
		"  - {name: a, effect: allow, to: {methods: [PROPFIND], paths: ['/orders:cancel', '/a(1)', '/t/{tenant}']}, when: claims.tctx.tenant == 'a'}\n",
	} {
		if got := warningsOf(t, files(head+"  identity: optional\n  rules:\n"+rules)); got != "" {
			t.Errorf("%s\ngot %s", rules, got)
		}
	}
}

// TestFoldersOfAConfigMapsSize has folders just below and just above the size of the warning. Files that are not read do not count.
func TestFoldersOfAConfigMapsSize(t *testing.T) {
	const document, warnedFrom = head + "  identity: optional\n  rules: [{name: d, effect: deny, to: {paths: [/x, /x/]}}]\n", 943719
	padded := func(name string, size int) *fstest.MapFile {
		text := strings.NewReplacer("metadata: {name: p}", "metadata: {name: "+name+"}", "sa/orders", "sa/"+name).Replace(document)
		return &fstest.MapFile{Data: append([]byte(text), bytes.Repeat([]byte("#"), size-len(text))...)}
	}
	for _, row := range []struct {
		size int
		want string
	}{
		{warnedFrom - 1, ""},
		{warnedFrom, "p/b.yaml:1:1: the documents of this folder have 943719 bytes, and a ConfigMap holds at most 1048576; divide them into folders, or use an image volume or a checkout config_map_size"},
	} {
		dir := source.Dir{Name: "p", Files: fstest.MapFS{
			"a.yml": padded("a", row.size-500_000), "b.yaml": padded("b", 500_000), "README": {Data: make([]byte, 1<<20)},
		}}
		problems, found := lint.Run(source.Loader{}, dir)
		var got []string
		for _, w := range found {
			got = append(got, w.String()+" "+string(w.Code))
		}
		if strings.Join(got, "\n") != row.want || len(problems) > 0 {
			t.Errorf("%d bytes: got %s %v\nwant %s", row.size, got, problems, row.want)
		}
	}
}

func TestFilesThatAreNotRead(t *testing.T) {
	lock := &fstest.MapFile{Data: []byte(head + "  identity: optional\n  rules: [{name: d, effect: deny, to: {paths: [/x, /x/]}}]\n")}
	dir := source.Dir{Name: "p", Files: fstest.MapFS{
		"a.yaml": lock, "README": {Data: []byte("text")}, ".hidden/lock": lock, "pipe": {Data: lock.Data, Mode: fs.ModeNamedPipe},
		"lock": {Data: lock.Data}, "sub/lock.json": {Data: lock.Data}, "lock.yaml.disabled": {Data: lock.Data},
	}}
	_, found := lint.Run(source.Loader{}, dir)
	var got []string
	for _, w := range found {
		got = append(got, w.String()+" "+string(w.Code))
	}
	const message = ":1:1: holds an AccessPolicy and is not read, as only *.yaml and *.yml are; rename it, or move it out of the folder file_not_read"
	if want := []string{"p/lock" + message, "p/lock.yaml.disabled" + message, "p/sub/lock.json" + message}; !slices.Equal(got, want) {
		t.Errorf("got %s", strings.Join(got, "\n"))
	}
}

// A warning proposes to remove a rule only if another one is as strict.
func TestNoAdviceToRemoveWhatOthersDoNotDo(t *testing.T) {
	wide := head + "  identity: optional\n  rules:\n" + "  - {name: a, effect: allow, scopes: [s]}\n  - {name: d, effect: deny, to: {paths: ['/admin/**', /admin]}}\n"
	for name, rest := range map[string]source.Dir{
		"a guardrail also closes public entries": guardrailDir("  identity: optional\n  rules:\n  - {name: e, effect: deny, to: {paths: [/admin, /admin/]}}\n"),
		"the last rule of a document that wants a token": func() source.Dir {
			dir := guardrailDir("  rules:\n  - {name: b, effect: allow, scopes: [s, t], when: claims.sub != 'a'}\n")
			dir.Guardrail = false
			return dir
		}(),
	} {
		if got := warningsOf(t, files(wide), rest); got != "" {
			t.Errorf("%s: got %s", name, got)
		}
	}
}

func guardrailDir(spec string) source.Dir {
	dir := files(strings.Replace(head, "name: p}", "name: rails}", 1) + spec)
	dir.Name, dir.Guardrail = "rails", true
	return dir
}
