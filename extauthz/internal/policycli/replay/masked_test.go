package replay

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// A subject that is masked makes a decision undecidable if the documents read it, also if those that decided did not.
// No decision is made on the text that replaces it.
func TestAMaskedSubject(t *testing.T) {
	load := func(name, rule string) *policy.Set {
		text := strings.Replace(documentText(name, "ns/a/sa/a", rule), "identity: optional", "identity: required", 1)
		return loadAll(t, source.Dir{Name: "team", Files: fstest.MapFS{"p.yaml": {Data: []byte(text)}}})
	}
	unread := load("p", `{name: r, effect: allow, to: {paths: [/x]}}`)
	reads := load("p", `{name: r, effect: allow, to: {paths: [/x]}, when: 'claims.sub == "masked"'}`)
	line := func(inputs string) string {
		return `{"kind":"check","id":"7","callee":"ns/a/sa/a","method":"GET","path":"/x","sub":"masked","iss":"https://i","decision":"allow","reason":"rule_allowed",` +
			`"policy":"p","rule":"r","generation":"` + reads.Generation() + `","inputs":{` + inputs + `},"masked":["sub"]}`
	}
	for _, row := range []struct {
		name, line   string
		old, changed *policy.Set
		want         string
	}{
		{"nobody reads it", line(""), unread, unread, "replayed 1, changed 0, undecidable 0"},
		{"NEW reads it", line(""), unread, reads, "NEW reads what the record does not hold: claims.sub (masked)"},
		{"OLD reads it", line(`"claims.sub":"masked"`), reads, unread, "OLD reads what the record does not hold: claims.sub (masked)"},
	} {
		report := diffOf(t, row.old, row.changed, row.line)
		var text strings.Builder
		if err := report.Print(&text); err != nil || !strings.Contains(text.String(), row.want) {
			t.Errorf("%s: %v, got %s", row.name, err, text.String())
		}
	}
	for want, set := range map[string]*policy.Set{"": unread, "the documents read what the record does not hold: claims.sub (masked)": reads} {
		found, err := FindRecords(strings.NewReader(line(`"claims.sub":"masked"`)), "7")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if got := found[0].Reconstruct(set).Undecidable; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A rule that allows because a value is absent is undecidable if the record does not hold the value.
func TestARuleThatAllowsForWhatIsMissing(t *testing.T) {
	set := func(rule string) *policy.Set {
		text := strings.Replace(documentText("p", "ns/a/sa/a", rule), "identity: optional", "identity: required", 1)
		return loadAll(t, source.Dir{Name: "team", Files: fstest.MapFS{"p.yaml": {Data: []byte(text)}}})
	}
	old := set(`{name: r, effect: allow, to: {paths: [/x]}}`)
	changed := set(`{name: r, effect: allow, to: {paths: [/x]}, when: '!has(claims.tctx.blocked)'}`)
	line := `{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","sub":"idp:a","iss":"https://i","decision":"allow","reason":"rule_allowed","policy":"p","rule":"r"}`
	var text strings.Builder
	if err := diffOf(t, old, changed, line).Print(&text); err != nil || !strings.Contains(text.String(), "NEW reads what the record does not hold: claims.tctx.blocked") {
		t.Errorf("%v, got %s", err, text.String())
	}
}
