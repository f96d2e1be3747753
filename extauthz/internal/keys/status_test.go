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

func TestStatus(t *testing.T) {
	publishAt := func(now time.Time) func(t *testing.T, dir, out string) {
		return func(t *testing.T, dir, out string) {
			t.Helper()
			if _, err := keys.Publish(dir, out, now); err != nil {
				t.Fatal(err)
			}
		}
	}
	own := func(p keyset.Plan) func(t *testing.T, dir, out string) {
		return func(t *testing.T, dir, _ string) {
			t.Helper()
			if _, err := keyset.CreateKey(dir, keyset.ES256, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, row := range []struct {
		name    string
		after   time.Duration
		change  func(t *testing.T, dir, out string)
		problem string
	}{
		{"all is well", day, publishAt(noon), ""},
		{"the first key, which nobody knew", time.Minute, publishAt(noon), ""},
		{"the first key, not published", time.Minute, func(*testing.T, string, string) {}, "FILE lacks KEY"},
		{"a key that took over at once", 2*day + time.Minute, own(keyset.Plan{PublishAt: noon.Add(2 * day), SignFrom: noon.Add(2 * day), SignUntil: noon.Add(60 * day), RemoveAfter: noon.Add(61 * day)}),
			"signs already, and was published less than the lead (1h0m0s) before: authorizers without the new set reject its tokens until 2026-06-03T13:00:00Z at the latest"},
		{"nothing follows", 28 * day, publishAt(noon), "no key signs after 2026-07-01T12:00:00Z, and no other key follows"},
		{"nothing signs", 30 * day, publishAt(noon), "no key signs: gateways deny every request"},
		{"not published", day, func(*testing.T, string, string) {}, "FILE lacks KEY"},
		{"no longer to be published", 31 * day, publishAt(noon), "FILE contains KEY"},
		{"no key set", day, func(t *testing.T, _, out string) { put(t, out, "down") }, "FILE is not a key set"},
		{"a stray key", day, func(t *testing.T, dir, _ string) { put(t, filepath.Join(dir, "a.pem"), "x") }, "a.pem is a private key that"},
		{"published too late", day, own(keyset.Plan{PublishAt: noon.Add(2 * day), SignFrom: noon.Add(2*day + time.Minute), SignUntil: noon.Add(60 * day), RemoveAfter: noon.Add(61 * day)}),
			"will sign at 2026-06-03T12:01:00Z, less than 1h0m0s after"},
		{"removed too early", day, own(keyset.Plan{PublishAt: noon, SignFrom: noon.Add(2 * day), SignUntil: noon.Add(60 * day), RemoveAfter: noon.Add(60*day + time.Hour)}),
			"and tokens that it signed live until"},
		{"a gap", day, own(keyset.Plan{PublishAt: noon, SignFrom: noon.Add(31 * day), SignUntil: noon.Add(60 * day), RemoveAfter: noon.Add(61 * day)}),
			"no key signs from 2026-07-01T12:00:00Z to 2026-07-02T12:00:00Z"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir, out := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "jwks.json")
			firstKey(t, dir)
			kid := oldest(t, dir)
			row.change(t, dir, out)
			r, err := keys.Status(keys.StatusOptions{Lead: time.Hour, Ahead: 3 * day, Now: noon.Add(row.after)}, dir, out)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.NewReplacer(kid, "KEY", out, "FILE").Replace(strings.Join(r.Problems, "\n"))
			if !strings.Contains(got, row.problem) || (row.problem == "") != (got == "") {
				t.Errorf("got %s", got)
			}
		})
	}
}

// After the documented steps with --first there is nothing to fix: the report names the
// time until which authorizers may reject the key, and no problem.
func TestStatusOfTheFirstKey(t *testing.T) {
	dir, out := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "jwks.json")
	firstKey(t, dir)
	if _, err := keys.Publish(dir, out, noon); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		after   time.Duration
		denials string
	}{
		{time.Minute, "denials: until 2026-06-01T13:00:00Z at the latest, authorizers without the new set deny requests (kid_unknown)\n"},
		{time.Hour, ""},
	} {
		r, err := keys.Status(keys.StatusOptions{Lead: time.Hour, Ahead: 3 * day, Now: noon.Add(row.after)}, dir, out)
		if err != nil || len(r.Problems) > 0 {
			t.Fatalf("after %v: %v, %v", row.after, r.Problems, err)
		}
		var text strings.Builder
		r.PrintStatus(&text)
		if got := text.String(); !strings.Contains(got, row.denials) || strings.Contains(got, "denials:") != (row.denials != "") {
			t.Errorf("after %v: got\n%s", row.after, got)
		}
	}
}

// The report names the key that exists already.
func TestNothingToDo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	firstKey(t, dir)
	signing := oldest(t, dir)
	next := keys.KeyRequest{Dir: dir, Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: 24 * time.Hour, Now: noon}
	made, err := keys.AddKey(next)
	if err != nil {
		t.Fatal(err)
	}
	first := next
	first.First = true
	for _, row := range []struct {
		again keys.KeyRequest
		want  string
	}{
		{next, "nothing to do: key " + made.Made + " in " + dir + " waits to sign at 2026-06-01T13:00:00Z\n"},
		{first, "nothing to do: key "},
	} {
		r, err := keys.AddKey(row.again)
		if err != nil {
			t.Fatal(err)
		}
		var text strings.Builder
		r.Print(&text)
		if got := text.String(); !strings.HasPrefix(got, row.want) || !strings.Contains(got, "now:     "+signing) {
			t.Errorf("got\n%s", got)
		}
	}
}

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
