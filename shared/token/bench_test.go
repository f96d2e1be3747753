package token_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/keyset"
)

// The benchmarks compare a token with the bare signature of the standard library
// over as many bytes: "ratio" is our time divided by its time. The two take turns, so
// that other work on the machine slows both.

func BenchmarkMint(b *testing.B) {
	for _, algorithm := range keyset.Algorithms() {
		b.Run(algorithm, func(b *testing.B) {
			minter, _ := tokentest.NewIssuer(b, algorithm, noon)
			bare := newBare(b, algorithm)
			compare(b, func() error {
				_, _, err := minter.Mint(tokentest.Identity())
				return err
			}, bare.sign)
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range keyset.Algorithms() {
		b.Run(algorithm, func(b *testing.B) {
			minter, trust := tokentest.NewIssuer(b, algorithm, noon)
			raw, _, err := minter.Mint(tokentest.Identity())
			if err != nil {
				b.Fatal(err)
			}
			v, bare := verifierOf(b, trust), newBare(b, algorithm)
			if err := bare.sign(); err != nil {
				b.Fatal(err)
			}
			compare(b, func() error {
				_, err := v.Verify(raw)
				return err
			}, bare.verify)
		})
	}
}

// BenchmarkVerifyWithoutSignature compares all that is not the signature with one bare ES256
// verification, by the fastest batch of each.
func BenchmarkVerifyWithoutSignature(b *testing.B) {
	v, raw, bare := verifier(b, noon), tokentest.ValidToken(b, noon), newBare(b, keyset.ES256)
	if err := bare.sign(); err != nil {
		b.Fatal(err)
	}
	read := func() error { _, err := v.CheckAllButSignature(raw); return err }
	const batch = 20
	ours, theirs := time.Hour, time.Hour
	for range b.N {
		ours, theirs = min(ours, turns(b, batch, read)), min(theirs, turns(b, batch, bare.verify))
	}
	b.ReportMetric(float64(ours.Nanoseconds())/1000/batch, "µs/token")
	b.ReportMetric(float64(theirs.Nanoseconds())/1000/batch, "µs/signature")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "ratio")
	b.ReportMetric(testing.AllocsPerRun(100, func() { _ = read() }), "allocs/token")
	b.ReportMetric(0, "ns/op") // of both together, which would mislead
}

// BenchmarkCache compares a cached token with the same token verified: "ratio" is the first
// time divided by the second.
func BenchmarkCache(b *testing.B) {
	raw := tokentest.ValidToken(b, noon)
	verify := func(cached int) func() error {
		v := newHop(b, cached).verifier.Load()
		return func() error { _, err := v.Verify(raw); return err }
	}
	const batch = 20
	var hit, miss time.Duration
	remembered, fresh := verify(100), verify(0)
	b.ResetTimer()
	for n := 0; n < b.N; n += batch {
		hit += turns(b, batch, remembered)
		miss += turns(b, batch, fresh)
	}
	done := float64((b.N + batch - 1) / batch * batch)
	b.ReportMetric(float64(hit.Nanoseconds())/1000/done, "µs/remembered")
	b.ReportMetric(float64(miss.Nanoseconds())/1000/done, "µs/verified")
	b.ReportMetric(hit.Seconds()/miss.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // of both together, which would mislead
}

// compare runs both equally often, in small batches.
func compare(b *testing.B, ours, theirs func() error) {
	b.Helper()
	const batch = 20
	var we, they time.Duration
	b.ResetTimer() // or making the keys would decide the number of turns
	for n := 0; n < b.N; n += batch {
		we += turns(b, batch, ours)
		they += turns(b, batch, theirs)
	}
	done := float64((b.N + batch - 1) / batch * batch)
	b.ReportMetric(float64(we.Microseconds())/done, "µs/token")
	b.ReportMetric(float64(they.Microseconds())/done, "µs/signature")
	b.ReportMetric(we.Seconds()/they.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // of both together, which would mislead
}

func turns(b *testing.B, count int, do func() error) time.Duration {
	started := time.Now()
	for range count {
		if err := do(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(started)
}

// bare is one key of the standard library, and its last signature.
type bare struct {
	private   crypto.Signer
	input     []byte
	signature []byte
}

func newBare(b *testing.B, algorithm string) *bare {
	b.Helper()
	k := &bare{input: make([]byte, 700)}
	var err error
	switch algorithm {
	case keyset.ES256:
		k.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case keyset.EdDSA:
		_, k.private, err = ed25519.GenerateKey(rand.Reader)
	case keyset.RS256:
		k.private, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		b.Fatal(err)
	}
	return k
}

func (k *bare) sign() (err error) {
	if key, ok := k.private.(ed25519.PrivateKey); ok {
		k.signature = ed25519.Sign(key, k.input)
		return nil
	}
	digest := sha256.Sum256(k.input)
	k.signature, err = k.private.Sign(rand.Reader, digest[:], crypto.SHA256)
	return err
}

func (k *bare) verify() error {
	digest := sha256.Sum256(k.input)
	valid := false
	switch key := k.private.Public().(type) {
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(key, digest[:], k.signature)
	case ed25519.PublicKey:
		valid = ed25519.Verify(key, k.input, k.signature)
	case *rsa.PublicKey:
		valid = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], k.signature) == nil
	}
	if !valid {
		return keyset.ErrSignature
	}
	return nil
}
