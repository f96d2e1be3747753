package keys_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

// A waiting key that was removed from the published set is published again a whole lead
// before it signs, and the current key signs until then. A missing set changes nothing,
// because it may have been moved to another place.
func TestTheWaitingKeyWasTakenOutOfTheSet(t *testing.T) {
	const lead, made = time.Hour, 7*day - time.Hour
	for name, row := range map[string]struct {
		after   time.Duration // since the first key began to sign
		set     func(before string) string
		changed bool
		signs   time.Duration
	}{
		"taken out":              {made + lead/2, func(before string) string { return before }, true, made + lead/2 + lead},
		"taken out at once":      {made, func(before string) string { return before }, true, made + lead},
		"no set":                 {made + lead/2, func(string) string { return "" }, true, made + lead},
		"the next one, as it is": {made + lead/2, nil, false, made + lead},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir, out := filepath.Join(base, "keys"), filepath.Join(base, "jwks.json")
			rotate := func(after time.Duration) keys.Report {
				t.Helper()
				r := rotation(dir, noon.Add(after))
				r.First = true // as a CronJob may say at every run
				report, err := keys.Rotate(r, out)
				if err != nil {
					t.Fatal(err)
				}
				return report
			}
			rotate(0)
			before, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(err)
			}
			waiting := rotate(made).Made
			if row.set != nil {
				if err := os.WriteFile(out, []byte(row.set(string(before))), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			report := rotate(row.after)
			next, signing := report.Keys[0], report.Keys[1]
			if report.Changed != row.changed || next.ID != waiting || !next.SignFrom.Equal(noon.Add(row.signs)) || !signing.SignUntil.Equal(next.SignFrom) {
				t.Errorf("changed %v: %+v", report.Changed, report.Keys)
			}
			if set, err := os.ReadFile(out); err != nil || !strings.Contains(string(set), waiting) {
				t.Errorf("not published: %s, %v", set, err)
			}
			if again := rotate(row.after); again.Changed {
				t.Errorf("run twice: %+v", again)
			}
			check := keys.StatusOptions{Lead: lead, Now: noon.Add(row.after)}
			if status, err := keys.Status(check, dir, out); err != nil || len(status.Problems) > 0 || status.Keys[0].State != keyset.StatePublished {
				t.Errorf("status: %+v, %v", status, err)
			}
		})
	}
}
