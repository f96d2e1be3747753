package main

import (
	"io"
	"testing"

	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
)

var benchCalls = map[string]func() *call{"key": keyCall, "jwt": jwtCall}

// BenchmarkHooks measures the time that the hooks add to a request.
func BenchmarkHooks(b *testing.B) {
	p := startRig(b)
	p.signer.audit = audit.New(io.Discard, audit.Options{})
	for name, c := range benchCalls {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r := c().request()
				p.callSignAndGuard(r)
				if r.Header.Get(identity.Header) == "" {
					b.Fatalf("refused: %s", &p.log)
				}
			}
		})
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
