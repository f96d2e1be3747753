package keyset

import (
	"crypto"
	"errors"
)

// PublicKey is one public key, with the one algorithm that it is used with.
type PublicKey struct {
	Algorithm string
	key       crypto.PublicKey
}

// ErrSignature is the error for a signature that this key did not make.
var ErrSignature = errors.New("signature does not verify")

// Verify checks a raw JWS signature over the signing input (RFC 7515 section 5.2). The
// error is [ErrSignature].
func (p PublicKey) Verify(input, signature []byte) error {
	if !verifyRaw(p.key, input, signature) {
		return ErrSignature
	}
	return nil
}

// PublicKeys is the key set of one issuer. It never changes, and is never merged with that
// of another issuer.
type PublicKeys struct {
	keys    map[string]PublicKey // by kid
	skipped int
}

// KeyByID returns the key with this kid, compared byte by byte.
func (p *PublicKeys) KeyByID(kid string) (PublicKey, bool) {
	key, ok := p.keys[kid]
	return key, ok
}

// KeyIDs returns the kids, in no particular order.
func (p *PublicKeys) KeyIDs() []string {
	ids := make([]string, 0, len(p.keys))
	for kid := range p.keys {
		ids = append(ids, kid)
	}
	return ids
}

// Equal reports whether both have the same keys, and the same number of skipped keys.
func (p *PublicKeys) Equal(other *PublicKeys) bool {
	if len(p.keys) != len(other.keys) || p.skipped != other.skipped {
		return false
	}
	for kid := range p.keys { // a kid is its key's thumbprint
		if _, both := other.keys[kid]; !both {
			return false
		}
	}
	return true
}

// Without returns the set without these keys. It is nil if no key is left, and the same set
// if there was nothing to remove.
func (p *PublicKeys) Without(kids ...string) *PublicKeys {
	left := &PublicKeys{keys: make(map[string]PublicKey, len(p.keys)), skipped: p.skipped}
	for kid, key := range p.keys {
		left.keys[kid] = key
	}
	for _, kid := range kids {
		delete(left.keys, kid)
	}
	switch len(left.keys) {
	case 0:
		return nil
	case len(p.keys):
		return p
	}
	return left
}

// PublicKeysOf returns a set with this key alone, for the self-test of a signer.
func PublicKeysOf(k *SigningKey) *PublicKeys {
	return &PublicKeys{keys: map[string]PublicKey{k.kid: k.Public()}}
}

// SkippedKeys returns the number of keys in the document whose kty is unknown here (RFC 7517
// section 5), such as those that a newer gateway publishes beside ours.
func (p *PublicKeys) SkippedKeys() int { return p.skipped }
