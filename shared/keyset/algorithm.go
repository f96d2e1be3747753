// Package keyset holds the keys of the token: the private ones with which a
// gateway signs, and the public ones by which a hop verifies. One key has one
// algorithm and one name, its RFC 7638 thumbprint.
//
// When a key is published, signs and goes away is written beside it as four
// times (see [Plan]), so that what a key may do now is a function of the clock:
// every replica computes the same answer and no second write is ever needed.
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

// The algorithms of RFC 7518 and RFC 8037 that a token may be signed with. The
// list is closed: symmetric algorithms and "none" have no name here.
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
)

// Algorithms lists what [CreateKey] and a trust entry accept.
func Algorithms() []string { return []string{ES256, EdDSA, RS256} }

// Bounds of RSA keys. The publisher of a key decides what each verification costs:
// 16,384 bits take a thousand times as long as 2,048. A larger exponent is what
// crypto/rsa does not verify with.
const (
	minRSABits     = 2048
	maxRSABits     = 8192
	minRSAExponent = 65537
	maxRSAExponent = 1<<31 - 1
)

// ErrKeyKind says that a key has no algorithm here: another curve, an RSA modulus or
// exponent out of bounds, a symmetric key.
var ErrUnsupportedKey = fmt.Errorf("key kind not supported: want P-256, Ed25519, or sound RSA of %d to %d bits with an odd exponent from %d to %d",
	minRSABits, maxRSABits, minRSAExponent, maxRSAExponent)

// algorithmOf binds a public key to its one algorithm.
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
		if soundRSA(key) {
			return RS256, nil
		}
	}
	return "", ErrUnsupportedKey
}

// soundRSA: a tiny or even exponent makes forgery practical or the key useless, and
// so does an even modulus.
func soundRSA(key *rsa.PublicKey) bool {
	if key.N == nil || key.N.Sign() <= 0 {
		return false
	}
	bits, e := key.N.BitLen(), key.E
	return minRSABits <= bits && bits <= maxRSABits && key.N.Bit(0) == 1 &&
		minRSAExponent <= e && e <= maxRSAExponent && e%2 == 1 && !roca(key)
}

// thumbprint is the key's name: RFC 7638 with SHA-256, base64url.
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

func generate(algorithm string) (crypto.Signer, error) {
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
