package keys

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

var interruptedAt = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// killed runs a rotation until it is killed before its step n; false: there is no such step.
func killed(t *testing.T, r Rotation, out string, n int) bool {
	t.Helper()
	steps, _, err := r.planSteps(out)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range steps {
		if i == n {
			// The temporary file of an interrupted write.
			must(t, os.WriteFile(filepath.Join(r.Dir, ".new-123"), []byte("-----BEGIN PRIV"), 0o600))
			return true
		}
		must(t, s.run())
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Killed at any point, a rotation leaves a directory that gateways read and that
// signs as before or as after, with what is published; and the next run ends what was begun.
func TestKilledAtEveryStep(t *testing.T) {
	next := interruptedAt.Add(100 * time.Hour)
	for _, row := range []struct {
		name  string
		leak  bool
		steps int
	}{
		{"on time, and an old key goes", false, 4},
		{"a leak", true, 5},
	} {
		t.Run(row.name, func(t *testing.T) {
			count := 0
			for killedAt(t, row.leak, next, count) {
				count++
			}
			if count != row.steps {
				t.Errorf("killed at %d steps, want %d", count, row.steps)
			}
		})
	}
}

func killedAt(t *testing.T, leak bool, now time.Time, n int) bool {
	t.Helper()
	base := t.TempDir()
	dir, out := filepath.Join(base, "keys"), filepath.Join(base, "jwks.json")
	r := Rotation{KeyRequest: KeyRequest{Dir: dir, Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: 1000 * time.Hour, First: true, Now: interruptedAt}, Every: 48 * time.Hour}
	_, err := Rotate(r, out)
	must(t, err)
	r.Now = interruptedAt.Add(47 * time.Hour) // a second key: by now it signs, and the first is over
	_, err = Rotate(r, out)
	must(t, err)
	r.Now = now
	if leak {
		current, err := load(t, dir).Current(now)
		must(t, err)
		r.Immediately, r.Leaked = true, []string{current.ID()}
	}
	was := killed(t, r, out, n)
	inOrder(t, dir, out, now, was)

	if leak && !stillThere(load(t, dir), r.Leaked) {
		r.Immediately, r.Leaked = false, nil
	}
	_, err = Rotate(r, out)
	must(t, err)
	inOrder(t, dir, out, now, false)
	if again, err := Rotate(Rotation{KeyRequest: r.KeyRequest, Every: r.Every}, out); err != nil || again.Changed {
		t.Errorf("killed at %d, then run twice: %+v, %v", n, again, err)
	}
	return was
}

func stillThere(set *keyset.SigningKeys, kids []string) bool {
	for _, key := range set.Keys() {
		if key.ID() == kids[0] {
			return true
		}
	}
	return false
}

func load(t *testing.T, dir string) *keyset.SigningKeys {
	t.Helper()
	set, err := keyset.LoadSigningKeys(dir)
	must(t, err)
	return set
}

// inOrder: something signs, every key that will is published, and unless the
// command was killed nothing else is there.
func inOrder(t *testing.T, dir, out string, now time.Time, wasKilled bool) {
	t.Helper()
	set := load(t, dir)
	_, err := set.Current(now)
	must(t, err)
	data, err := os.ReadFile(out)
	must(t, err)
	published, err := keyset.ParseJWKS(data)
	must(t, err)
	for _, key := range set.Keys() {
		if _, known := published.KeyByID(key.ID()); !known && key.Plan().IsPublishedAt(now) && key.Plan().SignFrom.After(now) {
			t.Errorf("%s is to sign, and is not published", key.ID())
		}
	}
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, entry := range entries {
		info, err := entry.Info()
		must(t, err)
		if info.Mode().Perm() != 0o600 || !wasKilled && strings.HasPrefix(entry.Name(), ".") {
			t.Errorf("%s has mode %v", entry.Name(), info.Mode())
		}
	}
	if !wasKilled && len(entries) != len(set.Keys())+1 {
		t.Errorf("%d files for %d keys", len(entries), len(set.Keys()))
	}
}
