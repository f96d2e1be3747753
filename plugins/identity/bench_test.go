package main

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

var benchCalls = map[string]func() *call{"key": keyCall, "jwt": jwtCall}

// hooksRun is one request of an API that Tyk has loaded: it goes through the three hooks again and again.
type hooksRun struct {
	call *call
	base *http.Request
	rw   *discardingWriter
}

// discardingWriter is a response of which nothing but the header is kept.
type discardingWriter struct{ header http.Header }

func (w *discardingWriter) Header() http.Header         { return w.header }
func (w *discardingWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w *discardingWriter) WriteHeader(int)             {}

func newHooksRun(c *call) *hooksRun {
	return &hooksRun{call: c, base: c.request(), rw: &discardingWriter{header: http.Header{}}}
}

// pass takes a copy of the request through the hooks. Tyk sets the definition before each of them.
func (h *hooksRun) pass(tb testing.TB, p *rig) {
	r := h.base.WithContext(h.base.Context())
	r.Header = h.base.Header.Clone()
	for _, hook := range []func(http.ResponseWriter, *http.Request){StripIdentity, SignIdentity, GuardUpstream} {
		hook(h.rw, r)
	}
	if r.Header.Get(identity.Header) == "" {
		tb.Fatalf("refused: %s", &p.log)
	}
}

// startRigWith loads the plugin with a key of this algorithm, and an audit log that writes nowhere.
func startRigWith(tb testing.TB, algorithm string) *rig {
	tb.Helper()
	dir, now := tb.TempDir(), time.Now()
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.Add(-time.Hour), SignUntil: now.Add(time.Hour), RemoveAfter: now.Add(2 * time.Hour)}
	if _, err := keyset.CreateKey(dir, algorithm, plan); err != nil {
		tb.Fatal(err)
	}
	p := startRig(tb, "DIR/keys", dir)
	p.signer.audit = audit.New(io.Discard, audit.Options{})
	return p
}

// BenchmarkHooks measures the time that the hooks add to a request.
func BenchmarkHooks(b *testing.B) {
	for _, algorithm := range keyset.Algorithms() {
		p := startRigWith(b, algorithm)
		for name, c := range benchCalls {
			b.Run(algorithm+"/"+name, func(b *testing.B) {
				run := newHooksRun(c())
				b.ReportAllocs()
				for range b.N {
					run.pass(b, p)
				}
			})
		}
	}
}

// BenchmarkIdentity compares, within one run, how long it takes to derive an
// identity from a session and to sign a token for it. The ratio is the metric
// derive/sign: with 0.1, deriving takes a tenth of the time of signing.
func BenchmarkIdentity(b *testing.B) {
	p := startRig(b)
	for name, c := range benchCalls {
		b.Run(name, func(b *testing.B) {
			r := c().request()
			d, err := tykapi.DefinitionOf(r)
			if err != nil {
				b.Fatal(err)
			}
			a, err := p.signer.apis.Find(d)
			if err != nil {
				b.Fatal(err)
			}
			session := ctx.GetSession(r)
			var id identity.Identity
			derive := elapsed(b, func() error { id, err = p.signer.credentials.Identify(a, session, r); return err })
			sign := elapsed(b, func() error { _, _, err := p.signer.minter.Mint(id); return err })
			b.ReportMetric(derive/float64(b.N), "derive-ns/op")
			b.ReportMetric(sign/float64(b.N), "sign-ns/op")
			b.ReportMetric(derive/sign, "derive/sign")
		})
	}
}

// elapsed runs a function as often as the benchmark asks, and gives the nanoseconds that it took.
func elapsed(b *testing.B, run func() error) float64 {
	b.Helper()
	before := b.Elapsed()
	for range b.N {
		if err := run(); err != nil {
			b.Fatal(err)
		}
	}
	return float64(b.Elapsed() - before)
}
