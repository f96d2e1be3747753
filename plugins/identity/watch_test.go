package main

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// A file that becomes invalid while the gateway runs leaves its earlier content active, and is logged once.
// Each step builds on the one before.
func TestReload(t *testing.T) {
	p := startRig(t)
	now, mounted, later := time.Now(), filepath.Join(p.dir, "mounted"), filepath.Join(p.dir, "later")
	v1 := newKey(t, filepath.Join(mounted, "..v1"), now, now.Add(time.Hour))
	v2 := newKey(t, filepath.Join(mounted, "..v2"), now, now.Add(time.Hour))
	swapLink(t, mounted, "..v1")
	good := replaceIn(t, p, p.dir+"/keys", mounted)
	p.checkOnce()
	v3 := newKey(t, filepath.Join(p.dir, "v3"), now, now.Add(time.Hour))
	const ready, kept = "ready to sign", "stays active"
	steps := []struct {
		name     string
		change   func()
		kid      string
		lifetime float64
		log      string // "": nothing is logged
	}{
		{"nothing", func() {}, v1, 60, ""},
		{"the volume is swapped", func() { swapLink(t, mounted, "..v2") }, v2, 60, ready},
		{"broken configuration", func() { p.writeFile(t, "meshpass.yaml", "issuer: [") }, v2, 60, kept},
		{"fixed, with another lifetime", func() { p.writeFile(t, "meshpass.yaml", strings.ReplaceAll(good, "60s", "30s")) }, v2, 30, ready},
		{"half a key", func() { truncateKeys(t, mounted) }, v2, 30, kept},
		{"swapped back", func() { swapLink(t, mounted, "..v1") }, v1, 30, ready},
		{"keys elsewhere, not there yet", func() { p.writeFile(t, "meshpass.yaml", strings.ReplaceAll(good, mounted, later)) }, v1, 30, kept},
		{"there now", func() { requireNoError(t, os.Rename(filepath.Join(p.dir, "v3"), later)) }, v3, 60, ready},
		{"no configuration", func() { removeFile(t, p, "meshpass.yaml") }, v3, 60, kept},
		{"back again", func() { p.writeFile(t, "meshpass.yaml", good) }, v1, 60, ready},
		{"short secret", func() { p.writeFile(t, "secret", "short") }, v1, 60, kept},
	}
	for _, step := range steps {
		p.log.Reset()
		step.change()
		for range 3 {
			p.checkOnce()
		}
		got := p.issueToken(t)
		if got.kid != step.kid || got.lifetime != step.lifetime {
			t.Errorf("%s: signed by %s for %v s, want %s for %v s", step.name, got.kid, got.lifetime, step.kid, step.lifetime)
		}
		lines := strings.Count(p.log.String(), "\n")
		if !strings.Contains(p.log.String(), step.log) || (step.log == "") != (lines == 0) || lines > 2 {
			t.Errorf("%s: want %q, and once; log: %s", step.name, step.log, &p.log)
		}
	}
}

// A key signs when its time comes, also if no file changes.
func TestKeysFollowTheClock(t *testing.T) {
	p := startRig(t)
	now := time.Now()
	dir := filepath.Join(p.dir, "rotated")
	first := newKey(t, dir, now, now.Add(time.Hour))
	second := newKey(t, dir, now.Add(time.Minute), now.Add(time.Hour))
	replaceIn(t, p, p.dir+"/keys", dir)
	p.watch.make = func(p *parts, process process) (*signer, error) {
		s, err := newSigner(p, process)
		s.now = func() time.Time { return now }
		return s, err
	}
	p.checkOnce()
	for _, step := range []struct {
		later time.Duration
		kid   string
	}{{0, first}, {59 * time.Second, first}, {time.Second, second}} {
		now = now.Add(step.later)
		if got := p.issueToken(t); got.kid != step.kid {
			t.Errorf("at %v: signed by %s, want %s", now, got.kid, step.kid)
		}
	}
	now = now.Add(time.Hour)
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.NoSigningKey)
}

// A panic outside of a request would end the gateway.
func TestPanicWhileLoading(t *testing.T) {
	p := startRig(t)
	bug := func(*parts, process) (*signer, error) { panic("a bug with " + p.dir) }
	p.watch.make = bug
	p.log.Reset()
	for range 3 {
		p.writeFile(t, "secret", strings.Repeat("t", identity.MinPseudonymKeyBytes))
		p.checkOnce()
	}
	p.issueToken(t)
	if strings.Count(p.log.String(), "a goroutine panicked") != 3 || strings.Contains(p.log.String(), "a bug") || p.counterValue(t, `meshpass_edge_goroutine_panics_total{goroutine="files"}`) != 3 {
		t.Errorf("want three panics logged, without their values; log: %s", &p.log)
	}
	p.watch = newWatch(p.watch.file, p.watch.log)
	p.watch.make = bug
	p.checkOnce()
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 503, decision.NotConfigured)
	p.watch.make = newSigner
	p.checkOnce()
	p.issueToken(t)
}

// One configuration decides each request as a whole.
func TestReloadUnderLoad(t *testing.T) {
	p := startRig(t)
	activeSigner = func() *signer { return p.watch.signer.Load() }
	texts := []string{
		replaceIn(t, p, "tyk.test", "tyk.a", "audience: test.", "audience: a."),
		replaceIn(t, p, "tyk.a", "tyk.b", "audience: a.", "audience: b."),
	}
	p.watch.checkFiles()
	stop, done := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		done.Add(1)
		go func() {
			defer done.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := p.issueToken(t); got.issuer[len("https://tyk."):] != got.audience {
					t.Errorf("issuer %s with audience %s", got.issuer, got.audience)
				}
			}
		}()
	}
	for i := range 20 {
		p.writeFile(t, "meshpass.yaml", texts[i%2])
		p.watch.checkFiles()
	}
	close(stop)
	done.Wait()
}
