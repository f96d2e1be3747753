package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// guarding is a document that allows every valid token, by a rule of this name.
func guarding(name, target, rule string) string {
	return strings.NewReplacer("name: p", "name: "+name, "ns/shop/sa/orders", target).Replace(head) + "  rules: [{name: " + rule + ", effect: allow}]\n"
}

const (
	halfWritten = "apiVersion: meshpass.dev/v1\nspec: {rules: ["
	aTarget     = "ns/a/sa/a"
	bTarget     = "ns/b/sa/b"
)

// folders of two teams, each with its own possible targets.
type folders struct{ a, b fstest.MapFS }

func (f folders) load(previous *policy.Set) source.Loaded {
	return source.Loader{}.LoadEach(previous,
		source.Dir{Name: "a", Files: f.a, MayTarget: []string{"ns/a/sa/*", "edge/*"}},
		source.Dir{Name: "b", Files: f.b, MayTarget: []string{"ns/b/sa/*", "ns/b2/sa/*"}})
}

func (f folders) with(folder, file, text string) folders {
	changed := folders{fstest.MapFS{}, fstest.MapFS{}}
	for name, data := range f.a {
		changed.a[name] = data
	}
	for name, data := range f.b {
		changed.b[name] = data
	}
	tree := map[string]fstest.MapFS{"a": changed.a, "b": changed.b}[folder]
	if text == "" {
		delete(tree, file)
	} else {
		tree[file] = &fstest.MapFile{Data: []byte(text)}
	}
	return changed
}

func good() folders {
	none := folders{fstest.MapFS{}, fstest.MapFS{}}
	return none.with("a", "a.yaml", guarding("a", aTarget, "first")).with("b", "b.yaml", guarding("b", bTarget, "first"))
}

// answers are the decisions for both teams' workloads, and for another one of b.
func answers(set *policy.Set) string {
	var all []string
	for _, w := range []identity.Workload{aTarget, bTarget, "ns/b2/sa/x"} {
		all = append(all, strings.TrimPrefix(describe(set.Decide(request(callee(w)), alice(nil))), "deny "))
	}
	return strings.Join(all, ", ")
}

const (
	bothFirst = "allow rule_allowed a/first, allow rule_allowed b/first, unguarded"
	onlyA     = "allow rule_allowed a/first, "
)

// Each row is a change of b's folder, which does not affect a. At the start, a rejected
// document denies; later, its previous version stays active.
func TestDocumentsAreRefusedOneByOne(t *testing.T) {
	broken := strings.Replace(guarding("b", bTarget, "second"), "effect: allow", "effect: permit", 1)
	for _, row := range []struct {
		name, file, text, atStart, later string
	}{
		{"a good change", "b.yaml", guarding("b", bTarget, "second"), onlyA + "allow rule_allowed b/second, unguarded", onlyA + "allow rule_allowed b/second, unguarded"},
		{"removed, so that the folder is empty, which may be a mount that is not there", "b.yaml", "", onlyA + "policy_refused b/, policy_refused b/", bothFirst},
		{"refused", "b.yaml", broken, onlyA + "policy_refused b/, unguarded", bothFirst},
		{"refused, and another target", "b.yaml", strings.Replace(broken, bTarget, "ns/b2/sa/x", 1), onlyA + "unguarded, policy_refused b/", bothFirst},
		{"refused, in shadow", "b.yaml", strings.Replace(broken, "spec:", "spec:\n  mode: shadow", 1), onlyA + "unguarded, unguarded", bothFirst},
		{"cannot be read", "b.yaml", halfWritten, onlyA + "policy_refused b/b.yaml/, policy_refused b/b.yaml/", bothFirst},
		{"without a name", "b.yaml", strings.Replace(broken, "name: b}", "title: b}", 1), onlyA + "policy_refused b/b.yaml/, unguarded", bothFirst},
		{"a target that is none", "b.yaml", strings.Replace(broken, bTarget, "b", 1), onlyA + "policy_refused b/, policy_refused b/", bothFirst},
		{"another team's target", "b.yaml", guarding("b", aTarget, "second"), onlyA + "policy_refused b/, policy_refused b/", bothFirst},
		{"another team's name, which is free in this folder", "b.yaml", guarding("a", bTarget, "second"), onlyA + "allow rule_allowed a/second, unguarded", onlyA + "allow rule_allowed a/second, unguarded"},
		{"a wildcard that is too wide", "b.yaml", guarding("b", "ns/*/sa/b", "second"), onlyA + "policy_refused b/, policy_refused b/", bothFirst},
		{"a second one, refused", "b2.yaml", strings.Replace(broken, "name: b}", "name: b2}", 1), onlyA + "policy_refused b2/, unguarded", bothFirst},
		{"a name twice", "b2.yaml", guarding("b", bTarget, "second"), onlyA + "policy_refused b/, unguarded", bothFirst},
	} {
		t.Run(row.name, func(t *testing.T) {
			changed := good().with("b", row.file, row.text)
			start := changed.load(nil)
			if got := answers(start.Set); got != row.atStart {
				t.Errorf("at the start: got %s, want %s", got, row.atStart)
			}
			before := good().load(nil)
			after := changed.load(before.Set)
			if got := answers(after.Set); got != row.later {
				t.Errorf("later: got %s, want %s", got, row.later)
			}
			checkReport(t, start, !strings.Contains(row.name, "shadow"))
			checkReport(t, after, false)
			again := changed.load(start.Set) // refused still
			if got := answers(again.Set); got != row.atStart {
				t.Errorf("looked at again: got %s, want %s", got, row.atStart)
			}
			if fixed := good().load(again.Set); answers(fixed.Set) != bothFirst || len(fixed.Rejected) != 0 || fixed.Set.Generation() != before.Set.Generation() {
				t.Errorf("fixed: got %s, %v", answers(fixed.Set), fixed.Rejected)
			}
		})
	}
}

func checkReport(t *testing.T, l source.Loaded, denied bool) {
	t.Helper()
	if (len(l.Problems) == 0) != (len(l.Rejected) == 0) || (l.Wanted == l.Set.Generation()) != (len(l.Rejected) == 0) {
		t.Errorf("problems %v, refused %v, wants %s, runs %s", l.Problems, l.Rejected, l.Wanted, l.Set.Generation())
	}
	for _, r := range l.Rejected {
		if r.Denied != denied || r.Name == "" || r.File == "" {
			t.Errorf("got %+v", r)
		}
	}
}

// A document that moves to another file and becomes invalid there stays active.
func TestADocumentThatMovesAndBreaksStays(t *testing.T) {
	before := good().load(nil)
	moved := good().with("b", "b.yaml", "").with("b", "new.yaml", halfWritten)
	if got := answers(moved.load(before.Set).Set); got != bothFirst {
		t.Errorf("got %s", got)
	}
	removed := good().with("b", "b.yaml", "").with("b", "new.yaml", guarding("new", "ns/b2/sa/x", "r"))
	if got, want := answers(removed.load(before.Set).Set), onlyA+"unguarded, allow rule_allowed new/r"; got != want {
		t.Errorf("removed: got %s, want %s", got, want)
	}
	// A target that is denied since the start stays denied while its file becomes worse.
	start := good().with("b", "b.yaml", strings.Replace(guarding("b", bTarget, "x"), "allow", "permit", 1)).load(nil)
	worse := good().with("b", "b.yaml", halfWritten).load(start.Set)
	if got, want := answers(worse.Set), onlyA+"policy_refused b/, unguarded"; got != want {
		t.Errorf("worse: got %s, want %s", got, want)
	}
}

func TestMayTarget(t *testing.T) {
	for _, row := range []struct {
		may, target string
		want        bool
	}{
		{"*", "ns/*/sa/*", true}, {"*", "edge/x", true}, {"*", "spiffe://o.example/x", true},
		{"ns/a/sa/*", "ns/a/sa/x", true}, {"ns/a/sa/*", "ns/a/sa/*", true}, {"ns/a/sa/*", "ns/ab/sa/x", false}, {"ns/a/sa/*", "ns/*/sa/x", false},
		{"service/a/*", "service/a/x", true}, {"service/a/*", "service/ab/x", false}, {"gateway/*", "gateway/g", true}, {"edge/*", "gateway/g", false},
		{"ns/*/sa/*", "edge/x", false}, {"spiffe://o.example/x", "spiffe://o.example/x", true}, {"spiffe://o.example/x", "spiffe://o.example/y", false},
	} {
		dir := files(guarding("p", row.target, "r"))
		dir.MayTarget = []string{row.may}
		if _, err := (source.Loader{}).Load(dir); (err == nil) != row.want {
			t.Errorf("%s under %s: %v", row.target, row.may, err)
		}
	}
	for _, may := range []string{"", "ns/*", "service/*", "service/*/*", "service/a/b*", "edge", "*/x", "ns/a*/sa/b"} {
		dir := files(guarding("p", aTarget, "r"))
		dir.Name, dir.MayTarget = "d", []string{"ns/a/sa/*", may}
		loaded := source.Loader{}.LoadEach(nil, dir)
		if err := loaded.Problems.Err(); err == nil || !strings.HasPrefix(err.Error(), "d: mayTarget: ") {
			t.Errorf("%q: %v", may, err)
		}
		// The intended targets are not known, so the folder may target every workload.
		if got := describe(loaded.Set.Decide(request(callee("ns/x/sa/y")), alice(nil))); got != "deny policy_refused d/" {
			t.Errorf("%q: got %s", may, got)
		}
	}
}

// At the start every rejected document denies all of its possible targets, and a rejected
// guardrail denies beside any other document.
func TestRefusalsDoNotHideEachOther(t *testing.T) {
	twice := good().with("b", "b2.yaml", guarding("b", "ns/b2/sa/x", "r"))
	both := onlyA + "policy_refused b/, policy_refused b/"
	if got := answers(twice.load(nil).Set); got != both {
		t.Errorf("one name, two targets: got %s", got)
	}
	mapping := strings.Replace(guarding("b", bTarget, "r"), bTarget+"]", bTarget+", {ns/b2/sa/x: [x]}]", 1)
	if got := answers(good().with("b", "b.yaml", mapping).load(nil).Set); got != both {
		t.Errorf("a target that is a mapping: got %s", got)
	}
	broken := strings.Replace(guarding("p", bTarget, "r"), "effect: allow", "effect: permit", 1)
	plain, rails := files(broken), files(strings.Replace(broken, "name: p", "name: z", 1))
	plain.Name, rails.Name, rails.Guardrail = "plain", "rails", true
	set := source.Loader{}.LoadEach(nil, plain, rails).Set.With(policy.Enforce, overrides(t, bTarget))
	if got := describe(set.Decide(request(callee(bTarget)), alice(nil))); got != "deny policy_refused z/" {
		t.Errorf("an override beside two refusals: got %s", got)
	}
}
