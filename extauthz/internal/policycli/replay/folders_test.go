package replay

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/extauthz/internal/policycli"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// beforeFolders returns the documents that decided the records of testdata/before-folders.
// These records are of the last version without folders in its records.
func beforeFolders(t *testing.T) []source.Dir {
	t.Helper()
	dirs, err := policycli.DocumentSource{
		Sources:    []string{"testdata/before-folders/policies", "testdata/before-folders/shadow"},
		Guardrails: []string{"testdata/before-folders/rails"},
	}.OpenFolders()
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func loadAll(t *testing.T, dirs ...source.Dir) *policy.Set {
	t.Helper()
	set, err := source.Loader{}.Load(dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func diffOf(t *testing.T, old, changed *policy.Set, records string) Report {
	t.Helper()
	report, err := Diff(old, changed, strings.NewReader(records))
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// Records without a folder get the same answers again, also if two documents have one name
// now. Their generation is that of the same files.
func TestRecordsOfTheVersionBeforeFolders(t *testing.T) {
	data, err := os.ReadFile("testdata/before-folders/records.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	records, dirs := string(data), beforeFolders(t)
	set := loadAll(t, dirs...)
	if strings.Contains(records, `"folder"`) || strings.Count(records, fmt.Sprintf("%q", set.Generation())) != 5 {
		t.Fatalf("generation %s is not that of the records", set.Generation())
	}
	if r := diffOf(t, set, set, records); r.Replayed != 5 || r.Changed+r.OtherRule+r.Undecidable != 0 {
		t.Errorf("got %+v", r)
	}
	squatting := fstest.MapFS{"lock.yaml": {Data: []byte(documentText("lock", "ns/blog/sa/web", "{name: mine, effect: allow}"))}}
	both := loadAll(t, append(dirs, source.Dir{Name: "blog", Files: squatting})...)
	if r := diffOf(t, both, both, records); r.Replayed != 5 || r.Changed+r.OtherRule+r.Undecidable != 0 {
		t.Errorf("beside another document of the name: got %+v", r)
	}
}

func documentText(name, target, rule string) string {
	return fmt.Sprintf("apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: %s}\nspec:\n  targets: {workloads: [%q]}\n  identity: optional\n  rules: [%s]\n", name, target, rule)
}

// recordLine returns a record of a GET of /x that a rule named r denied.
func recordLine(folder, policy string) string {
	return fmt.Sprintf(`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"deny","reason":"rule_denied","folder":%q,"policy":%q,"rule":"r"}`, folder, policy)
}

// The folder of a record is compared if the documents have a folder of that name. Otherwise
// it is another name for the folder on the command line.
func TestTheFolderOfARecord(t *testing.T) {
	const rule = "{name: r, effect: deny, to: {paths: [/x]}}"
	team := source.Dir{Name: "team", Files: fstest.MapFS{"p.yaml": {Data: []byte(documentText("p", "ns/a/sa/a", rule))}}}
	rails := source.Dir{Name: "rails", Files: fstest.MapFS{"p.yaml": {Data: []byte(documentText("p", "ns/b/sa/b", rule))}}, Guardrail: true}
	set := loadAll(t, team, rails)
	for folder, undecidable := range map[string]int{"": 0, "team": 0, "mounted": 0, "rails": 1} {
		r := diffOf(t, set, set, recordLine(folder, "p"))
		if r.Undecidable != undecidable || r.Replayed != 1-undecidable {
			t.Errorf("%q: got %+v", folder, r)
		}
	}
}

// If two folders have a document of one name, a rule that moves between them is another rule.
// One folder on each side is a pair under any names.
func TestFoldersArePaired(t *testing.T) {
	const rule = "{name: r, effect: deny, to: {paths: [/x]}}"
	text := documentText("p", "ns/a/sa/a", rule)
	dirs := func(names ...string) (all []source.Dir) {
		for i, name := range names {
			files := fstest.MapFS{"p.yaml": {Data: []byte(text)}}
			if i > 0 {
				files = fstest.MapFS{"q.yaml": {Data: []byte(documentText("q", "ns/q/sa/q", rule))}}
			}
			all = append(all, source.Dir{Name: name, Files: files})
		}
		return all
	}
	for _, row := range []struct {
		old, changed []source.Dir
		otherRule    int
	}{
		{dirs("old"), dirs("new"), 0},
		{dirs("a", "b"), dirs("a", "b"), 0},
		{dirs("a", "b"), dirs("b", "a"), 1},
		{dirs("a", "b"), dirs("c", "b"), 1},
	} {
		policycli.PairFolders(row.old, row.changed)
		if r := diffOf(t, loadAll(t, row.old...), loadAll(t, row.changed...), recordLine("", "p")); r.Replayed != 1 || r.OtherRule != row.otherRule {
			t.Errorf("%s and %s: got %+v", row.old[0].Name, row.changed[0].Name, r)
		}
	}
	old, changed := dirs("a"), dirs("b")
	old, changed = append(old, source.Dir{Name: "rails", Guardrail: true}), append(changed, source.Dir{Name: "new-rails", Guardrail: true})
	policycli.PairFolders(old, changed)
	if changed[0].Name != "a" || changed[1].Name != "rails" {
		t.Errorf("guardrails are paired on their own: got %s and %s", changed[0].Name, changed[1].Name)
	}
}

// A shadow answer in a record names the folder if another folder has a document of the
// name. A file that cannot be used is named by its path.
func TestShadowAnswersNameAFolder(t *testing.T) {
	for text, want := range map[string]Answer{
		"deny rule_denied orders/no-batch":               {Decision: "deny", Reason: "rule_denied", Policy: "orders", Rule: "no-batch"},
		"deny rule_denied shop/orders/no-batch":          {Decision: "deny", Reason: "rule_denied", Folder: "shop", Policy: "orders", Rule: "no-batch", shared: true},
		"deny policy_refused policies/team/orders.yaml/": {Decision: "deny", Reason: "policy_refused", Policy: "policies/team/orders.yaml"},
		"deny no_rule": {Decision: "deny", Reason: "no_rule"},
	} {
		r := parseBack(t, audit.Record{Kind: audit.KindCheck, Decision: "allow", Reason: "overridden", Shadow: []string{text}})
		answers := r.documentAnswers()
		if len(answers) != 2 || answers[1] != want {
			t.Errorf("%s: got %+v", text, answers)
		}
		if want.Rule != "" && answers[1].String() != text {
			t.Errorf("%s: got text %s", text, answers[1])
		}
	}
}

// Records that another program wrote, or a later version, are undecidable and do no harm.
func TestRecordsWithUnknownAnswers(t *testing.T) {
	const rule = "{name: r, effect: deny, to: {paths: [/x]}}"
	set := loadAll(t, source.Dir{Name: "team", Files: fstest.MapFS{"p.yaml": {Data: []byte(documentText("p", "ns/a/sa/a", rule))}}})
	for _, row := range []string{
		`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x"}`,
		`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"deny"}`,
		`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"deny","reason":"of_tomorrow"}`,
		`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"allow","reason":"overridden","shadow":["","deny","deny of_tomorrow","deny rule_denied p/r/s/t"]}`,
	} {
		if r := diffOf(t, set, set, row); r.Undecidable != 1 || r.Replayed != 0 {
			t.Errorf("%s: got %+v", row, r)
		}
		found, err := FindRecords(strings.NewReader(row), "")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if c := found[0].Reconstruct(set); !c.ByPolicy || len(c.Uncertain) == 0 {
			t.Errorf("%s: got %+v", row, c)
		}
	}
}
