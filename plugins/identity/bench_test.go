package main

import (
	"io"
	"testing"

	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
)

// BenchmarkSign is what the hook adds to a request.
func BenchmarkSign(b *testing.B) {
	p := start(b)
	p.signer.audit = audit.New(io.Discard)
	calls := map[string]*call{"key": keyCall(), "jwt": jwtCall()}
	for name, c := range calls {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				r := c.request()
				p.sign(r)
				if r.Header.Get(identity.Header) == "" {
					b.Fatalf("refused: %s", &p.log)
				}
			}
		})
	}
}
