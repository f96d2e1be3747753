package keyset

import (
	"crypto"
	"errors"
)

// PublicKey is one verification key and the one algorithm it is used with.
type PublicKey struct {
	Algorithm string
	key       crypto.PublicKey
}

// ErrSignature says that a signature is not this key's.
var ErrSignature = errors.New("signature does not verify")

// Verify checks a raw JWS signature over the signing input.
func (p PublicKey) Verify(input, signature []byte) error {
	if !verify(p.key, input, signature) {
		return ErrSignature
	}
	return nil
}

// PublicKeys is the key set of one issuer: immutable, and never merged with another.
type PublicKeys struct {
	keys    map[string]PublicKey
	skipped int
}

// KeyByID finds a key by the exact string of a token's kid.
func (p *PublicKeys) KeyByID(kid string) (PublicKey, bool) {
	key, ok := p.keys[kid]
	return key, ok
}

// KeyIDs lists the kids, in no particular order.
func (p *PublicKeys) KeyIDs() []string {
	ids := make([]string, 0, len(p.keys))
	for kid := range p.keys {
		ids = append(ids, kid)
	}
	return ids
}

// Equal says that both hold the same keys, and skipped as many.
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

// Without is the set without some keys; nil where none is left, and the set itself
// where none of them is in it.
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

// PublicKeysOf is a set with just this key, for a signer that tests itself.
func PublicKeysOf(k *SigningKey) *PublicKeys {
	return &PublicKeys{keys: map[string]PublicKey{k.kid: k.Public()}}
}

// SkippedKeys counts the members of the set whose kty is not known here (RFC 7517
// section 5): keys of a kind that a newer gateway publishes beside ours.
func (p *PublicKeys) SkippedKeys() int { return p.skipped }
