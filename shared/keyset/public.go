package keyset

import (
	"bytes"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// Bounds of a JWKS: far above any honest set, far below what hurts.
const (
	MaxSetBytes = 256 << 10
	maxKeys     = 100
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

// Public is the key set of one issuer: immutable, and never merged with another.
type Public struct{ keys map[string]PublicKey }

// Key finds a key by the exact string of a token's kid.
func (p *Public) Key(kid string) (PublicKey, bool) {
	key, ok := p.keys[kid]
	return key, ok
}

// IDs lists the kids, in no particular order.
func (p *Public) IDs() []string {
	ids := make([]string, 0, len(p.keys))
	for kid := range p.keys {
		ids = append(ids, kid)
	}
	return ids
}

// Equal says that both hold the same keys.
func (p *Public) Equal(other *Public) bool {
	if len(p.keys) != len(other.keys) {
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
func (p *Public) Without(kids ...string) *Public {
	left := &Public{keys: make(map[string]PublicKey, len(p.keys))}
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

// PublicOf is a set with just this key, for a signer that tests itself.
func PublicOf(k *Key) *Public {
	return &Public{keys: map[string]PublicKey{k.kid: k.Public()}}
}

// ParseJWKS reads a key set (RFC 7517). One bad key refuses the whole set: a set
// that is not what its publisher meant is a set to alarm about, not to trim.
func ParseJWKS(data []byte) (*Public, error) {
	members, err := splitSet(data)
	if err != nil {
		return nil, fmt.Errorf("key set: %w", err)
	}
	set := &Public{keys: make(map[string]PublicKey, len(members))}
	for i, member := range members {
		kid, key, err := parseJWK(member)
		if err != nil {
			return nil, fmt.Errorf("key set: key %d: %w", i+1, err)
		}
		if _, twice := set.keys[kid]; twice {
			return nil, fmt.Errorf("key set: key %d: the same key twice", i+1)
		}
		set.keys[kid] = key
	}
	return set, nil
}

func splitSet(data []byte) ([]json.RawMessage, error) {
	if len(data) > MaxSetBytes {
		return nil, fmt.Errorf("larger than %d bytes", MaxSetBytes)
	}
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&set); err != nil {
		return nil, errors.New("not a JSON object with an array \"keys\"")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no keys")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("more than %d keys", maxKeys)
	}
	return set.Keys, nil
}

// metadata is what a JWK says about itself besides the key.
type metadata struct {
	KeyType   string   `json:"kty"`
	KeyID     string   `json:"kid"`
	Algorithm string   `json:"alg"`
	Use       string   `json:"use"`
	KeyOps    []string `json:"key_ops"`
	Private   any      `json:"d"`
	Symmetric any      `json:"k"`
}

// parseJWK never quotes the member: it may turn out to be a private key.
func parseJWK(data []byte) (string, PublicKey, error) {
	var meta metadata
	if err := json.Unmarshal(data, &meta); err != nil {
		return "", PublicKey{}, errors.New("not a JSON Web Key")
	}
	if err := meta.check(); err != nil {
		return "", PublicKey{}, err
	}
	key, err := rawPublic(data)
	if err != nil {
		return "", PublicKey{}, err
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return "", PublicKey{}, err
	}
	kid, err := thumbprint(key)
	if err != nil {
		return "", PublicKey{}, err
	}
	if meta.KeyID != kid {
		return "", PublicKey{}, fmt.Errorf("its kid is not the key's thumbprint, %s", kid)
	}
	if meta.Algorithm != "" && meta.Algorithm != algorithm {
		return "", PublicKey{}, fmt.Errorf("its alg does not fit the key, whose algorithm is %s", algorithm)
	}
	return kid, PublicKey{Algorithm: algorithm, key: key}, nil
}

func (m metadata) check() error {
	switch {
	case m.Private != nil:
		return errors.New("a private key: publish the public half, and replace this key, which is no longer secret")
	case m.Symmetric != nil || m.KeyType == "oct":
		return errors.New("a symmetric key")
	case m.Use != "" && m.Use != "sig":
		return errors.New("use is not sig")
	}
	for _, op := range m.KeyOps {
		if op != "verify" {
			return errors.New("key_ops holds more than verify")
		}
	}
	return nil
}

func rawPublic(data []byte) (crypto.PublicKey, error) {
	key, err := jwk.ParseKey(data)
	if err != nil {
		return nil, errors.New("the key cannot be read")
	}
	var raw any
	if err := key.Raw(&raw); err != nil {
		return nil, errors.New("the key cannot be read")
	}
	return raw, nil
}
