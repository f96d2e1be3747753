package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

const day = 24 * time.Hour

func rotation(dir string, now time.Time) keys.Rotation {
	r := keys.Rotation{KeyRequest: asked(dir, now), Every: 7 * day}
	r.Lifetime = 30 * day
	return r
}

func rotate(t *testing.T, r keys.Rotation) keys.Report {
	t.Helper()
	report, err := keys.Rotate(r, "")
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func atOnce(r keys.Rotation, kids ...string) keys.Rotation {
	r.Immediately, r.Leaked = true, kids
	return r
}

// states of all keys, the newest first.
func states(r keys.Report) string {
	var all []string
	for _, key := range r.Keys {
		all = append(all, string(key.State))
	}
	return strings.Join(all, " ")
}

// A command that runs every hour, as a CronJob does, for ten weeks: something
// signs at every moment, with a key that was published a lead before, and at any
// time three keys are there at most.
func TestRotatedEveryHour(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	made := 0
	for now := noon; now.Before(noon.Add(70 * day)); now = now.Add(time.Hour) {
		r := rotation(dir, now)
		r.First = true
		report := rotate(t, r)
		if report.Made != "" {
			made++
		}
		again := rotate(t, r)
		if again.Changed || len(report.Keys) > 3 {
			t.Fatalf("%v: run twice: %+v", now, again)
		}
		signs := 0
		for _, key := range report.Keys {
			if key.State == keyset.StateSigning {
				signs++
			}
			if !key.SignFrom.Equal(noon) && key.SignFrom.Sub(key.PublishAt) < time.Hour {
				t.Fatalf("%v: %+v is published too late", now, key)
			}
			if key.RemoveAfter.Sub(key.SignUntil) < 6*time.Minute+time.Hour {
				t.Fatalf("%v: %+v is removed too early", now, key)
			}
		}
		if signs != 1 {
			t.Fatalf("%v: %d keys sign: %+v", now, signs, report)
		}
	}
	if made != 11 {
		t.Errorf("%d keys made", made)
	}
}

func TestRotate(t *testing.T) {
	const lead = time.Hour
	for _, row := range []struct {
		name   string
		before func(t *testing.T, dir string) // the first key signs from noon
		ask    func(dir, kid string) keys.Rotation
		made   bool
		states string
		note   string
	}{
		{"no key yet", nil, func(dir, _ string) keys.Rotation { return rotation(dir, noon) }, true, "published", "no key signs before"},
		{"not due", firstKey, func(dir, _ string) keys.Rotation { return rotation(dir, noon.Add(day)) }, false, "signing", "the next key is due at 2026-06-08T11:00:00Z"},
		{"asked for", firstKey, func(dir, _ string) keys.Rotation {
			r := rotation(dir, noon.Add(day))
			r.Every = 0
			return r
		}, true, "published signing", ""},
		{"one waits", func(t *testing.T, dir string) {
			firstKey(t, dir)
			rotate(t, rotation(dir, noon.Add(7*day-lead)))
		}, func(dir, _ string) keys.Rotation { return rotation(dir, noon.Add(7*day-lead/2)) }, false, "published signing", "waits to sign already"},
		{"the first is removed", func(t *testing.T, dir string) {
			firstKey(t, dir)
			rotate(t, rotation(dir, noon.Add(7*day-lead)))
		}, func(dir, _ string) keys.Rotation { return rotation(dir, noon.Add(8*day)) }, false, "signing", "the next key is due at 2026-06-15T11:00:00Z"},
		{"late: the key signs until the next one does", firstKey, func(dir, _ string) keys.Rotation { return rotation(dir, noon.Add(30*day-lead/2)) }, true, "published signing", ""},
		{"far too late", firstKey, func(dir, _ string) keys.Rotation { return rotation(dir, noon.Add(40*day)) }, true, "published", "no key signs before"},
		{"far too late, and at once", firstKey, func(dir, _ string) keys.Rotation { return atOnce(rotation(dir, noon.Add(40*day))) }, true, "signing", ""},
		{"the signing key leaked", firstKey, func(dir, kid string) keys.Rotation { return atOnce(rotation(dir, noon.Add(day)), kid) }, true, "signing", "meshpass revoke kid --file LIST --issuer URL --for 24h "},
		{"it leaked while one waits", func(t *testing.T, dir string) {
			firstKey(t, dir)
			rotate(t, rotation(dir, noon.Add(7*day-lead)))
		}, func(dir, kid string) keys.Rotation { return atOnce(rotation(dir, noon.Add(7*day-lead/2)), kid) }, false, "signing", "meshpass revoke kid --file LIST --issuer URL --for 24h "},
		{"an older one leaked", func(t *testing.T, dir string) {
			firstKey(t, dir)
			rotate(t, rotation(dir, noon.Add(7*day-lead)))
		}, func(dir, kid string) keys.Rotation { return atOnce(rotation(dir, noon.Add(7*day+1)), kid) }, false, "signing", "meshpass revoke kid --file LIST --issuer URL --for 24h "},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			if row.before != nil {
				row.before(t, dir)
			}
			kid := oldest(t, dir)
			r := row.ask(dir, kid)
			report := rotate(t, r)
			if (report.Made != "") != row.made || states(report) != row.states || !strings.Contains(strings.Join(report.Notes, "\n"), row.note) {
				t.Errorf("got %+v", report)
			}
			if from, until := load(t, dir).NextGap(r.Now); !until.IsZero() && from.After(r.Now) {
				t.Errorf("nothing signs from %v to %v", from, until)
			}
		})
	}
}

func firstKey(t *testing.T, dir string) {
	t.Helper()
	r := rotation(dir, noon)
	r.First = true
	rotate(t, r)
}

func load(t *testing.T, dir string) *keyset.SigningKeys {
	t.Helper()
	set, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func oldest(t *testing.T, dir string) string {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return ""
	}
	all := load(t, dir).Keys()
	return all[len(all)-1].ID()
}

// Replaced at once, the new key is refused where it is not known yet: for a lead
// since it was published, and not longer.
func TestTheDenialsOfALeak(t *testing.T) {
	for _, row := range []struct {
		name  string
		waits bool
		until time.Time
	}{
		{"a new key", false, noon.Add(7*day - 30*time.Minute + time.Hour)},
		{"the one that waited", true, noon.Add(7 * day)},
	} {
		dir := filepath.Join(t.TempDir(), "keys")
		firstKey(t, dir)
		if row.waits {
			rotate(t, rotation(dir, noon.Add(7*day-time.Hour)))
		}
		kid, now := oldest(t, dir), noon.Add(7*day-30*time.Minute)
		report := rotate(t, atOnce(rotation(dir, now), kid))
		if report.Denials == nil || !report.Denials.From.Equal(now) || !report.Denials.Until.Equal(row.until) || len(report.Dropped) != 1 || report.Dropped[0] != kid {
			t.Errorf("%s: got %+v", row.name, report)
		}
		if document, err := load(t, dir).JWKS(now); err != nil || strings.Contains(string(document), kid) {
			t.Errorf("%s: the leaked key is published: %s, %v", row.name, document, err)
		}
		if _, err := os.Stat(filepath.Join(dir, kid+".pem")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: its file is there: %v", row.name, err)
		}
		before := content(t, dir)
		if _, err := keys.Rotate(atOnce(rotation(dir, now), kid), ""); !errors.Is(err, keys.ErrNotDone) || content(t, dir) != before {
			t.Errorf("%s: run twice: got %v", row.name, err)
		}
	}
}

func TestRotationsThatAreRefused(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(r *keys.Rotation)
		no     bool
		want   string
	}{
		{"no lead", func(r *keys.Rotation) { r.Lead = 0 }, false, "must be 1s or more"},
		{"oftener than the lead", func(r *keys.Rotation) { r.Every = time.Minute }, false, "want the lead, 1h0m0s, or more"},
		{"a key that ends before the next begins", func(r *keys.Rotation) { r.Lifetime = 7 * day }, false, "want every and lead together, 169h0m0s"},
		{"leaked, on time", func(r *keys.Rotation) { r.Leaked = []string{"x"} }, false, "replaced at once"},
		{"at once, for no reason", func(r *keys.Rotation) { r.Immediately = true }, true, "name the key that leaked with --kid; KEY signs now"},
		{"a key that is not there", func(r *keys.Rotation) { r.Immediately, r.Leaked = true, []string{"x"} }, true, "has no key x (removed already?); it has KEY"},
		{"a test key", func(r *keys.Rotation) { r.Test = true }, true, "need a directory each"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			firstKey(t, dir)
			kid, before := oldest(t, dir), content(t, dir)
			r := rotation(dir, noon.Add(day))
			row.change(&r)
			_, err := keys.Rotate(r, "")
			if err == nil || errors.Is(err, keys.ErrNotDone) != row.no || !strings.Contains(strings.ReplaceAll(err.Error(), kid, "KEY"), row.want) {
				t.Errorf("got %v", err)
			}
			if after := content(t, dir); after != before {
				t.Errorf("written: %s", after)
			}
		})
	}
}
