package policy_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/lint"
	policypath "github.com/meshpass/meshpass/shared/policy/path"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// Any content of a file loads as a set, or gives problems that have a position. A file that
// does not load denies.
func FuzzLoad(f *testing.F) {
	for _, file := range []string{"source/testdata/accepted.yaml", "source/testdata/refused.yaml"} {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, text := range strings.Split(string(data), "---\n") {
			f.Add([]byte(text))
		}
	}
	f.Add([]byte(attacked))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := source.Dir{Name: "d", Files: fstest.MapFS{"p.yaml": {Data: data}}}
		loaded := source.Loader{}.LoadEach(nil, dir)
		for _, p := range loaded.Problems {
			if p.File == "" || p.Message == "" {
				t.Errorf("a problem without a place or a text: %+v", p)
			}
		}
		set, err := (source.Loader{}).Load(dir)
		if (err == nil) != (len(loaded.Rejected) == 0) || (set == nil) != (err != nil) {
			t.Fatalf("got %v and %v, refused %v", set, err, loaded.Rejected)
		}
		if err != nil && loaded.Set.Decide(request(callee("ns/never/sa/named")), alice(nil)).Allowed() {
			t.Error("what is refused lets in")
		}
		loaded.Set.Explain(request(), alice(nil))
		lint.Run(source.Loader{}, dir)
	})
}

// An allowed path begins with the literal path of the rule that allows it, byte by byte,
// and no part of it is ambiguous.
func FuzzDecide(f *testing.F) {
	for _, p := range []string{"/a/x", "/b/x", "/a/../b", "//b", "/a%2fb", "/a;b", "/a/%62", "/A/x", "/a\\b", "/a/x?y", "/files/a%2Fb", "/files/..%2Fb", "/files/a%3Bb", "/files/..%3Bb", "/files/a%3Fb", "/a/b%23c"} {
		f.Add("GET", p, "orders.shop:80", "ns/edge/sa/tyk-gateway", "a b")
	}
	set := load(f, head+`  public: [{paths: ["/public/**"]}]
  rules:
    - {name: a, effect: allow, to: {hosts: [orders.shop], paths: ["/a/**"]}}
    - {name: b, effect: deny, to: {paths: ["/b", "/b/**"]}}
    - {name: files, effect: allow, to: {paths: ["/files/{name}"], allowEncoded: ["%2F", "%5C", "%25", "%3B", "%3F", "%23"]}}
    - {name: callers, effect: deny, from: {workloads: ["ns/bad/sa/*"]}}
`)
	f.Fuzz(func(t *testing.T, method, path, host, caller, scope string) {
		r := policy.Request{Method: method, Path: path, Host: host, Caller: identity.Workload(caller), Callee: "ns/shop/sa/orders", Now: noon}
		d := set.Decide(r, scoped(scope))
		if !d.Allowed() {
			return
		}
		prefix := map[string]string{"a": "/a/", "files": "/files/", "public[0]": "/public/"}[d.Rule]
		if prefix == "" || !strings.HasPrefix(path, prefix) || strings.HasPrefix(caller, "ns/bad/sa/") || caller == "" {
			t.Errorf("%+v: got %s", r, describe(d))
		}
		odd := strings.ContainsAny(path, ";\\#? ") || slices.Contains(strings.Split(path, "/"), "..") || strings.Contains(path, "%00")
		if odd || policypath.Check(path) != nil && d.Rule != "files" {
			t.Errorf("%q is admitted by %s", path, d.Rule)
		}
	})
}
