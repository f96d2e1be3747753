package keyset

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// The algorithms of a token: ECDSA with P-256 and RSA (RFC 7518), and Ed25519 (RFC 8037).
// The list is closed. It has no symmetric algorithm, and no unsigned tokens.
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
)

// DefaultAlgorithm is that of the first key of a directory. Of the three it costs least where
// a token is signed once and verified at one to some forty hops: docs/performance.md.
const DefaultAlgorithm = EdDSA

// Algorithms returns the names of all algorithms.
func Algorithms() []string { return []string{ES256, EdDSA, RS256} }

// Limits of RSA keys. The publisher of a key decides the cost of each verification: 16,384
// bits take a thousand times as long as 2,048. crypto/rsa does not verify with a larger
// exponent.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
	maxRSAExponent = 1<<31 - 1
)

// ErrUnsupportedKey is the error for a key that no algorithm here fits: another curve, an
// RSA modulus or exponent out of range, a symmetric key.
var ErrUnsupportedKey = fmt.Errorf("key kind not supported: want P-256, Ed25519, or sound RSA of %d to %d bits with an odd exponent from %d to %d",
	minRSABits, maxRSABits, minRSAExponent, maxRSAExponent)

// algorithmOf returns the one algorithm of a public key.
func algorithmOf(public crypto.PublicKey) (string, error) {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if _, err := key.ECDH(); err == nil && key.Curve == elliptic.P256() { // the conversion checks that the point is on the curve
			return ES256, nil
		}
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return EdDSA, nil
		}
	case *rsa.PublicKey:
		if isSoundRSA(key) {
			return RS256, nil
		}
	}
	return "", ErrUnsupportedKey
}

// isSoundRSA checks size, modulus and exponent. A tiny or even exponent, or an even
// modulus, makes forgery practical or the key useless.
func isSoundRSA(key *rsa.PublicKey) bool {
	if key.N == nil || key.N.Sign() <= 0 {
		return false
	}
	bits, e := key.N.BitLen(), key.E
	return minRSABits <= bits && bits <= maxRSABits && key.N.Bit(0) == 1 &&
		minRSAExponent <= e && e <= maxRSAExponent && e%2 == 1 && !isROCA(key)
}

// thumbprint returns the name of the key: RFC 7638 with SHA-256, base64url.
func thumbprint(public crypto.PublicKey) (string, error) {
	key, err := jwk.FromRaw(public)
	if err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	if err := jwk.AssignKeyID(key); err != nil {
		return "", fmt.Errorf("thumbprint: %w", err)
	}
	return key.KeyID(), nil
}

func generateKey(algorithm string) (crypto.Signer, error) {
	switch algorithm {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RS256:
		return rsa.GenerateKey(rand.Reader, minRSABits)
	}
	return nil, fmt.Errorf("algorithm %q: want one of %v", algorithm, Algorithms())
}
