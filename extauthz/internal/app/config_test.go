package app

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/shared/token"
)

// process reads a configuration as `meshpass serve` would.
func process(file string) Process {
	return Process{
		ConfigFile: file, Stdout: io.Discard, Now: time.Now, Drain: time.Second,
		Log: slog.New(slog.DiscardHandler),
	}
}

// Each invalid-NAME.yaml is refused with exactly the lines of invalid-NAME.txt.
func TestRefusals(t *testing.T) {
	files, err := filepath.Glob("testdata/invalid-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rows: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			want, err := os.ReadFile(strings.TrimSuffix(file, ".yaml") + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			p := process(file)
			p.Strict = true // or documents that are wrong would be refused one by one
			a, err := loadAuthorizer(p)
			if err == nil {
				a.audit.close()
				t.Fatal("accepted")
			}
			if got := err.Error() + "\n"; got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			checked := CheckConfig(file, data, CheckOptions{Strict: true, Now: time.Now})
			if got := checked.Problems.Error() + "\n"; got != string(want) {
				t.Errorf("checked\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAbsentFile(t *testing.T) {
	_, err := loadAuthorizer(process("testdata/absent.yaml"))
	want := "configuration: open testdata/absent.yaml: no such file or directory"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The defaults are those that valid.yaml writes out.
func TestDefaults(t *testing.T) {
	minimal, full := mustReadConfig(t, "testdata/minimal.yaml"), mustReadConfig(t, "testdata/valid.yaml")
	if got, want := minimal.config.Limits, full.config.Limits; got != want {
		t.Errorf("limits: got %v, want %v", got, want)
	}
	if got, want := minimal.config.TrustDomains.Local, full.config.TrustDomains.Local; got != want {
		t.Errorf("trust domain: got %s, want %s", got, want)
	}
	read := func(f *configFile) token.Trust {
		return readTrust(f.check, f.config.Trust, f.config.TrustDomains.parsedDomains(), f.config.Insecure, nil).entries[0].Trust
	}
	got, want := read(minimal), read(full)
	if got.MaxLifetime != want.MaxLifetime || got.Leeway != want.Leeway || !cmp.Equal(got.Algorithms, want.Algorithms) {
		t.Errorf("trust: got %v, want %v", got, want)
	}
	if !got.Subjects.IsAny() || !got.Requesters.IsAny() {
		t.Errorf("absent subjects and requesters mean any, got %v and %v", got.Subjects, got.Requesters)
	}
	if got := minimal.config.Listeners[0].TokenFailure; got != 403 {
		t.Errorf("tokenFailure: got %d, want 403", got)
	}
	for _, f := range []*configFile{minimal, full} {
		checkConfig(f)
		if err := f.check.Err(); err != nil {
			t.Error(err)
		}
	}
}

func mustReadConfig(t *testing.T, file string) *configFile {
	t.Helper()
	f, err := readConfig(file)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
