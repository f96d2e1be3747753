package keys_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/keys"
	"github.com/meshpass/meshpass/shared/keyset"
)

var noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func asked(dir string, now time.Time) keys.KeyRequest {
	return keys.KeyRequest{Dir: dir, Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: 24 * time.Hour, Now: now}
}

func signsFirst(dir string) keys.KeyRequest {
	n := asked(dir, noon)
	n.First = true
	return n
}

func test(n keys.KeyRequest) keys.KeyRequest { n.Test = true; return n }

func make1(t *testing.T, n keys.KeyRequest) string {
	t.Helper()
	r, err := keys.AddKey(n)
	if err != nil || r.Made == "" {
		t.Fatalf("got %+v, %v", r, err)
	}
	return r.Made
}

// Without --first not even the first key signs before its lead is over.
func TestTheFirstKeyWaitsToo(t *testing.T) {
	dir := t.TempDir()
	r, err := keys.AddKey(asked(dir, noon))
	if err != nil {
		t.Fatal(err)
	}
	want := "no key signs before 2026-06-01T13:00:00Z: until then gateways deny every request with 503 no_signing_key"
	if r.Notes[0] != want {
		t.Errorf("got %s", r.Notes[0])
	}
	set, err := keyset.LoadSigningKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := set.Current(noon.Add(time.Hour - 1)); !errors.Is(err, keyset.ErrNoCurrentKey) {
		t.Errorf("signs early: %v", err)
	}
	if key, err := set.Current(noon.Add(time.Hour)); err != nil || key.ID() != r.Made {
		t.Errorf("got %v, %v", key, err)
	}
}

func TestTheAnswerIsNo(t *testing.T) {
	otherAlgorithm := func(n keys.KeyRequest) keys.KeyRequest { n.Algorithm = keyset.EdDSA; return n }
	for _, row := range []struct {
		name   string
		before func(dir string) keys.KeyRequest
		ask    func(dir string) keys.KeyRequest
		want   string
	}{
		{"another algorithm waits", func(dir string) keys.KeyRequest { return asked(dir, noon) },
			func(dir string) keys.KeyRequest { return otherAlgorithm(asked(dir, noon)) }, "already waits to sign at 2026-06-01T13:00:00Z"},
		{"first, and there is one that waits", func(dir string) keys.KeyRequest { return asked(dir, noon) }, signsFirst, "--first is for the very first key, and DIR has 1"},
		{"first, and there is one of another algorithm", signsFirst, func(dir string) keys.KeyRequest { return otherAlgorithm(signsFirst(dir)) }, "--first is for"},
		{"first, and there is one that is over", signsFirst, func(dir string) keys.KeyRequest {
			n := signsFirst(dir)
			n.Now = noon.Add(48 * time.Hour)
			return n
		}, "--first is for"},
		{"a test key into production", signsFirst, func(dir string) keys.KeyRequest { return test(asked(dir, noon)) }, "need a directory each"},
		{"a production key among test keys", func(dir string) keys.KeyRequest { return test(signsFirst(dir)) }, func(dir string) keys.KeyRequest { return asked(dir, noon) }, "need a directory each"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			make1(t, row.before(dir))
			before := content(t, dir)
			r, err := keys.AddKey(row.ask(dir))
			if !errors.Is(err, keys.ErrNotDone) || r.Changed || !strings.Contains(strings.ReplaceAll(err.Error(), dir, "DIR"), row.want) {
				t.Errorf("got %+v, %v", r, err)
			}
			if after := content(t, dir); after != before {
				t.Errorf("written: %s, was %s", after, before)
			}
		})
	}
}

func content(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, entry := range entries {
		data, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, entry.Name(), string(data))
	}
	return strings.Join(all, "\n")
}

func TestPermissions(t *testing.T) {
	base := t.TempDir()
	dir, out := filepath.Join(base, "keys"), filepath.Join(base, "jwks.json")
	kid := make1(t, signsFirst(dir))
	if _, err := keys.Publish(dir, out, noon); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, kid+".pem"): 0o600, filepath.Join(dir, "keys.yaml"): 0o600, out: 0o644} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: got %v, %v", file, info, err)
		}
	}
}

// Two commands at once do the work of one: both would write keys.yaml.
func TestCommandsAtOnce(t *testing.T) {
	dir := t.TempDir()
	var all sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for range 8 {
		all.Go(func() {
			r, err := keys.AddKey(signsFirst(dir))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if r.Changed {
				made++
			}
		})
	}
	all.Wait()
	set, err := keyset.LoadSigningKeys(dir)
	if err != nil || len(set.Keys()) != 1 || made != 1 {
		t.Errorf("%d made, %v", made, err)
	}
}

func TestCouldNot(t *testing.T) {
	dir := t.TempDir()
	for name, n := range map[string]keys.KeyRequest{
		"no lead":              {Dir: dir, Algorithm: keyset.ES256, Lifetime: time.Hour, Now: noon},
		"half a second":        {Dir: dir, Algorithm: keyset.ES256, Lead: time.Second / 2, Lifetime: time.Hour, Now: noon},
		"no lifetime":          {Dir: dir, Algorithm: keyset.ES256, Lead: time.Hour, Now: noon},
		"a symmetric key":      {Dir: dir, Algorithm: "HS256", Lead: time.Hour, Lifetime: time.Hour, Now: noon},
		"a folder too deep":    {Dir: filepath.Join(dir, "a", "b"), Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: time.Hour, Now: noon},
		"a file for a folder":  {Dir: os.Args[0], Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: time.Hour, Now: noon},
		"an empty folder name": {Algorithm: keyset.ES256, Lead: time.Hour, Lifetime: time.Hour, Now: noon},
	} {
		if r, err := keys.AddKey(n); err == nil || errors.Is(err, keys.ErrNotDone) || r.Changed {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if left := content(t, dir); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if err := os.WriteFile(filepath.Join(dir, "keys.yaml"), []byte("keys: ["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.AddKey(asked(dir, noon)); err == nil || !strings.Contains(err.Error(), "keys.yaml") {
		t.Errorf("a broken plan: got %v", err)
	}
}

// The first key of a directory has the default algorithm. Later keys keep the algorithm of the keys before them, because
// authorizers may accept no other, until another one is requested.
func TestAlgorithmOfTheNextKey(t *testing.T) {
	for _, row := range []struct{ first, requested, want string }{
		{"", "", keyset.EdDSA}, {keyset.ES256, "", keyset.ES256}, {keyset.RS256, "", keyset.RS256},
		{keyset.ES256, keyset.EdDSA, keyset.EdDSA}, {keyset.EdDSA, keyset.ES256, keyset.ES256},
	} {
		for name, add := range map[string]func(keys.KeyRequest) (keys.Report, error){
			"new":    keys.AddKey,
			"rotate": func(n keys.KeyRequest) (keys.Report, error) { return keys.Rotate(keys.Rotation{KeyRequest: n}, "") },
			"leak": func(n keys.KeyRequest) (keys.Report, error) {
				set, err := keyset.LoadSigningKeys(n.Dir)
				if err != nil || len(set.Keys()) == 0 {
					return keys.Rotate(keys.Rotation{KeyRequest: n}, "")
				}
				return keys.Rotate(keys.Rotation{KeyRequest: n, Immediately: true, Leaked: []string{set.Keys()[0].ID()}}, "")
			},
		} {
			n := keys.KeyRequest{Dir: t.TempDir(), Lead: time.Hour, Lifetime: 24 * time.Hour, Now: noon}
			if row.first != "" {
				before := signsFirst(n.Dir)
				before.Algorithm = row.first
				make1(t, before)
			}
			n.Algorithm = row.requested
			r, err := add(n)
			if err != nil || r.Made == "" {
				t.Fatalf("%s, %+v: %+v, %v", name, row, r, err)
			}
			for _, key := range r.Keys {
				if key.ID == r.Made && key.Algorithm != row.want {
					t.Errorf("%s, first %q, requested %q: got %s, want %s", name, row.first, row.requested, key.Algorithm, row.want)
				}
			}
		}
	}
}
