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
	verify, err := newBareVerification(algorithm)
	if err != nil {
		return 0, err
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := threadCPUTime()
	if err != nil {
		return 0, err
	}
	count := 0
	for deadline := time.Now().Add(length); time.Now().Before(deadline); count++ {
		if !verify() {
			return 0, errors.New("a valid signature is rejected")
		}
	}
	after, err := threadCPUTime()
	return float64(after-before) / 1e3 / float64(count), err
}

func newBareVerification(algorithm string) (verify func() bool, err error) {
	input := make([]byte, bareBytes)
	digest := sha256.Sum256(input)
	hash := func() []byte { sum := sha256.Sum256(input); return sum[:] }
	switch algorithm {
	case keyset.ES256:
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, err
		}
		signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
		return func() bool { return ecdsa.VerifyASN1(&key.PublicKey, hash(), signature) }, err
	case keyset.EdDSA:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		signature := ed25519.Sign(private, input)
		return func() bool { return ed25519.Verify(public, input, signature) }, nil
	case keyset.RS256:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
		return func() bool { return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, hash(), signature) == nil }, err
	}
	return nil, fmt.Errorf("no algorithm %q", algorithm)
}
