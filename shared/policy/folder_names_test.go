package policy_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// mesh has the folders of two teams and the guardrails of a platform, in the order of a
// configuration that lists the guardrails last.
type mesh struct{ blog, shop, guardrails fstest.MapFS }

func (m mesh) load(previous *policy.Set) source.Loaded {
	return source.Loader{}.LoadEach(previous,
		source.Dir{Name: "blog", Files: m.blog, MayTarget: []string{"ns/blog/sa/*"}},
		source.Dir{Name: "shop", Files: m.shop, MayTarget: []string{"ns/shop/sa/*"}},
		source.Dir{Name: "guardrails", Files: m.guardrails, Guardrail: true})
}

func tree(texts ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i, text := range texts {
		files[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	return files
}

// closing is a document named guardrail that denies a path in all namespaces.
func closing(path string) string {
	return strings.NewReplacer("name: p", "name: guardrail", "ns/shop/sa/orders", "ns/*/sa/*").Replace(head) +
		fmt.Sprintf("  rules: [{name: closed, effect: deny, to: {paths: [%q]}}]\n", path)
}

func (m mesh) answer(set *policy.Set, workload, path string) string {
	r := request(callee(identity.Workload(workload)))
	r.Path = path
	return describe(set.Decide(r, alice(nil)))
}

// A team can give a document the name of a guardrail. That neither freezes the guardrail
// while the process runs, nor replaces it, nor denies everything at the next start.
func TestNoTeamTakesAGuardrailsName(t *testing.T) {
	const blog, shop = "ns/blog/sa/web", "ns/shop/sa/orders"
	m := mesh{tree(guarding("blog", blog, "all")), tree(guarding("shop", shop, "all")), tree(closing("/admin/**"))}
	before := m.load(nil)
	m.blog = tree(guarding("blog", blog, "all"), guarding("guardrail", blog, "mine"))
	squatted := m.load(before.Set)
	m.guardrails = tree(closing("/debug/**"))
	tightened := m.load(squatted.Set)
	for name, loaded := range map[string]source.Loaded{"while it runs": tightened, "at a start": m.load(nil), "looked at again": m.load(tightened.Set)} {
		if len(loaded.Problems) > 0 || len(loaded.Rejected) > 0 || loaded.Set.Generation() != loaded.Wanted {
			t.Errorf("%s: problems %v, refused %v", name, loaded.Problems, loaded.Rejected)
		}
		for path, want := range map[string]string{
			blog + " /debug/x": "deny rule_denied guardrail/closed", shop + " /debug/x": "deny rule_denied guardrail/closed",
			blog + " /x": "allow rule_allowed blog/all", shop + " /x": "allow rule_allowed shop/all", shop + " /admin/x": "allow rule_allowed shop/all",
		} {
			workload, path, _ := strings.Cut(path, " ")
			if got := m.answer(loaded.Set, workload, path); got != want {
				t.Errorf("%s: %s of %s: got %s, want %s", name, path, workload, got, want)
			}
		}
	}
}

// The same for a team's document that is broken, and for one that is in two files.
func TestNoTeamFreezesAGuardrail(t *testing.T) {
	const blog, shop = "ns/blog/sa/web", "ns/shop/sa/orders"
	own := guarding("guardrail", blog, "mine")
	for name, team := range map[string]fstest.MapFS{
		"broken": tree(strings.Replace(own, "effect: allow", "effect: permit", 1)), "half-written": tree(halfWritten),
		"the name twice": tree(own, own), "another's target": tree(guarding("guardrail", shop, "mine")), "too large": tree(own + strings.Repeat("#", source.MaxFileBytes)),
	} {
		m := mesh{tree(guarding("blog", blog, "all")), tree(guarding("shop", shop, "all")), tree(closing("/admin/**"))}
		before := m.load(nil)
		m.blog, m.guardrails = team, tree(closing("/debug/**"))
		for at, loaded := range map[string]source.Loaded{"while it runs": m.load(before.Set), "at a start": m.load(nil)} {
			if len(loaded.Rejected) == 0 || loaded.Rejected[0].Folder != "blog" {
				t.Errorf("%s %s: refused %v", name, at, loaded.Rejected)
			}
			for path, want := range map[string]string{"/debug/x": "deny rule_denied guardrail/closed", "/admin/x": "allow rule_allowed shop/all"} {
				if got := m.answer(loaded.Set, shop, path); got != want {
					t.Errorf("%s %s: %s: got %s, want %s", name, at, path, got, want)
				}
			}
		}
	}
}

// If two folders use a name, decisions and reports also name the folder.
func TestAnswersNameTheFolder(t *testing.T) {
	a, b := files(guarding("p", aTarget, "r")), files(guarding("p", bTarget, "r"), guarding("q", bTarget, "s"))
	a.Name, b.Name = "a", "b"
	set, err := (source.Loader{}).Load(a, b)
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{aTarget: "a p", bTarget: "b p"} {
		d := set.Decide(request(callee(identity.Workload(target))), alice(nil))
		if got := d.Folder + " " + d.Policy; got != want || d.RuleName() != strings.Replace(want, " ", "/", 1)+"/r" {
			t.Errorf("%s: got %s by %s, want %s", target, got, d.RuleName(), want)
		}
		trace := set.Explain(request(callee(identity.Workload(target))), alice(nil))
		decided := 0
		for _, document := range trace.Documents {
			for _, r := range document.Rules {
				if r.Decided {
					decided++
				}
			}
		}
		if decided != 1 {
			t.Errorf("%s: %d rules are said to decide", target, decided)
		}
	}
	for _, d := range set.Documents() {
		want := map[string]string{"p": d.Folder + "/p", "q": "q"}[d.Name]
		if got := set.QualifiedName(d.Folder, d.Name); got != want || d.Folder == "" {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	alone, err := (source.Loader{}).Load(a)
	if err != nil {
		t.Fatal(err)
	}
	if d := alone.Decide(request(callee(aTarget)), alice(nil)); d.RuleName() != "p/r" || d.Folder != "a" {
		t.Errorf("one folder: got %s in %s", d.RuleName(), d.Folder)
	}
}

// Two folders with one name are rejected, because a document's name would be ambiguous.
func TestTwoFoldersOfOneName(t *testing.T) {
	one, other := files(guarding("p", aTarget, "r")), files(guarding("q", bTarget, "r"))
	one.Name, other.Name = "a", "a"
	_, err := (source.Loader{}).Load(one, other)
	if want := `a: a second folder named "a": give it another name`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Two sets have different generations if their active documents differ only by folder.
func TestAGenerationTellsFolders(t *testing.T) {
	good := tree(guarding("p", "ns/shop/sa/orders", "all"))
	broken := tree(strings.Replace(guarding("p", "ns/shop/sa/orders", "all"), "effect: allow", "effect: maybe", 1))
	load := func(blog, shop fstest.MapFS) source.Loaded {
		return source.Loader{}.LoadEach(nil, source.Dir{Name: "blog", Files: blog}, source.Dir{Name: "shop", Files: shop})
	}
	one, other := load(good, broken), load(broken, good)
	if len(one.Rejected) != 1 || len(other.Rejected) != 1 {
		t.Fatalf("refused: %v, %v", one.Rejected, other.Rejected)
	}
	if one.Set.Generation() == other.Set.Generation() {
		t.Errorf("both are %s", one.Set.Generation())
	}
}
