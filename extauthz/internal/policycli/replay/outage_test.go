package replay

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/policy/source"
)

// A denial without keys is replayed as a denial under documents with onOutage: allow, because
// missing keys of a partner are no outage. It is undecidable if the answer depends on that:
// the record does not hold whether there was an outage.
func TestADenialWithoutKeys(t *testing.T) {
	load := func(onOutage string) *policy.Set {
		text := strings.Replace(documentText("p", "ns/a/sa/a", "{name: r, effect: allow, to: {paths: [/x]}}"), "identity: optional", "onOutage: "+onOutage, 1)
		return loadAll(t, source.Dir{Name: "team", Files: fstest.MapFS{"p.yaml": {Data: []byte(text)}}})
	}
	deny, allow := load("deny"), load("allow")
	for _, reason := range []string{"keys_unavailable", "revocation_stale"} {
		denied := fmt.Sprintf(`{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"deny","reason":%q}`, reason)
		allowed := `{"kind":"check","callee":"ns/a/sa/a","method":"GET","path":"/x","decision":"allow","reason":"allowed_on_outage","policy":"p","rule":"r"}`
		for _, row := range []struct {
			name, line   string
			old, changed *policy.Set
			want         string
		}{
			{"denied, no outage", denied, allow, allow, "replayed 1, changed 0, undecidable 0"},
			{"denied, and never let in", denied, deny, deny, "replayed 1, changed 0, undecidable 0"},
			{"denied, and may be let in now", denied, deny, allow, "the record does not hold whether there was an outage"},
			{"denied, not let in any more", denied, allow, deny, "replayed 1, changed 0, undecidable 0"},
			{"let in", allowed, allow, allow, "replayed 1, changed 0, undecidable 0"},
		} {
			report := diffOf(t, row.old, row.changed, row.line)
			var text strings.Builder
			if err := report.Print(&text); err != nil || !strings.Contains(text.String(), row.want) {
				t.Errorf("%s, %s: %v, got %s", reason, row.name, err, text.String())
			}
		}
		found, err := FindRecords(strings.NewReader(denied), "")
		if err != nil || len(found) != 1 {
			t.Fatal(found, err)
		}
		if c := found[0].Reconstruct(allow); c.Outage || string(c.NoToken) != reason || len(c.Uncertain) != 1 || !strings.Contains(c.Uncertain[0], "generation") {
			t.Errorf("%s: reconstructed as %s, outage %t, notes %q", reason, c.NoToken, c.Outage, c.Uncertain)
		}
	}
}
