package bench

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// bareBytes is how many bytes the signature of a usual token is over.
const bareBytes = 700

// measureBareVerification returns the processor time of one verification by the standard library, in microseconds.
func measureBareVerification(algorithm string, length time.Duration) (float64, error) {
	bare, err := newBare(algorithm)
	if err != nil {
		return 0, err
	}
	return measureThread(length, bare.verify)
}

// measureBareSignature returns that of one signature.
func measureBareSignature(algorithm string, length time.Duration) (float64, error) {
	bare, err := newBare(algorithm)
	if err != nil {
		return 0, err
	}
	return measureThread(length, bare.sign)
}

// measureThread calls do for a time, and returns the processor time of one call, in microseconds.
func measureThread(length time.Duration, do func() error) (float64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := threadCPUTime()
	if err != nil {
		return 0, err
	}
	count := 0
	for deadline := time.Now().Add(length); time.Now().Before(deadline); count++ {
		if err := do(); err != nil {
			return 0, err
		}
	}
	after, err := threadCPUTime()
	return float64(after-before) / 1e3 / float64(count), err
}

// bare are the signatures of one new key by the standard library.
type bare struct{ sign, verify func() error }

var errBareSignature = errors.New("a valid signature is rejected")

func newBare(algorithm string) (bare, error) {
	input := make([]byte, bareBytes)
	digest := func() []byte { sum := sha256.Sum256(input); return sum[:] }
	var signature []byte
	check := func(valid bool) error {
		if !valid {
			return errBareSignature
		}
		return nil
	}
	var b bare
	switch algorithm {
	case keyset.ES256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return b, err
		}
		b.sign = func() (err error) { signature, err = ecdsa.SignASN1(rand.Reader, key, digest()); return err }
		b.verify = func() error { return check(ecdsa.VerifyASN1(&key.PublicKey, digest(), signature)) }
	case keyset.EdDSA:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return b, err
		}
		b.sign = func() error { signature = ed25519.Sign(private, input); return nil }
		b.verify = func() error { return check(ed25519.Verify(public, input, signature)) }
	case keyset.RS256:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return b, err
		}
		b.sign = func() (err error) {
			signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest())
			return err
		}
		b.verify = func() error { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest(), signature) }
	default:
		return b, fmt.Errorf("no algorithm %q", algorithm)
	}
	return b, b.sign()
}
