package keyset

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwk"
)

// ErrNoCurrentKey is the error if no key may sign at a time.
var ErrNoCurrentKey = errors.New("no key may sign now")

// SigningKey is one private key. Its fields are hidden, so that it cannot be printed,
// compared or marshalled by mistake.
type SigningKey struct {
	kid, algorithm string
	plan           Plan
	private        crypto.Signer
}

// ID returns the thumbprint of the key, which is the kid of its tokens.
func (k *SigningKey) ID() string { return k.kid }

// Algorithm returns the one algorithm that the key signs with.
func (k *SigningKey) Algorithm() string { return k.algorithm }

// Plan returns the times of the key.
func (k *SigningKey) Plan() Plan { return k.plan }

// Sign returns the raw JWS signature over the signing input (RFC 7515 section 5.1).
func (k *SigningKey) Sign(input []byte) ([]byte, error) {
	return signRaw(k.private, input)
}

// Public returns the public half of the key.
func (k *SigningKey) Public() PublicKey {
	return PublicKey{Algorithm: k.algorithm, key: k.private.Public()}
}

// SigningKeys are the keys of a key directory. They never change once they are loaded.
type SigningKeys struct {
	keys []*SigningKey // newest signFrom first
	test bool
}

// LoadSigningKeys reads a key directory: keys.yaml, and one KID.pem (PKCS#8) for each key in
// it. One invalid key rejects the whole directory. See [ReadFiles] for what else does.
func LoadSigningKeys(dir string) (*SigningKeys, error) {
	files, err := ReadFiles(dir)
	if err != nil {
		return nil, err
	}
	keys, err := files.SigningKeys()
	if err != nil {
		return nil, fmt.Errorf("signing keys: %s: %w", dir, err)
	}
	return keys, nil
}

func (k *SigningKey) isNewerThan(other *SigningKey) bool {
	if !k.plan.SignFrom.Equal(other.plan.SignFrom) {
		return k.plan.SignFrom.After(other.plan.SignFrom)
	}
	return k.kid < other.kid
}

// parsePEM never quotes its input, which may be a secret.
func parsePEM(data []byte) (*SigningKey, error) {
	block, rest := pem.Decode(data)
	if block == nil || block.Type != "PRIVATE KEY" || len(rest) > 0 {
		return nil, errors.New("want exactly one PKCS#8 PEM block of type PRIVATE KEY")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("the PKCS#8 content cannot be read")
	}
	private, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, ErrUnsupportedKey
	}
	return newSigningKey(private)
}

// generatePEM makes a key, and returns it with its PKCS#8 PEM.
func generatePEM(algorithm string) (*SigningKey, []byte, error) {
	private, err := generateKey(algorithm)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("new key: %w", err)
	}
	key, err := newSigningKey(private)
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

func newSigningKey(private crypto.Signer) (*SigningKey, error) {
	algorithm, err := algorithmOf(private.Public())
	if err != nil {
		return nil, err
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	return &SigningKey{kid: kid, algorithm: algorithm, private: private}, nil
}

// IsTest reports whether the directory is marked test: true. Its keys sign test tokens
// only, which production does not accept.
func (s *SigningKeys) IsTest() bool { return s.test }

// Keys returns every key, the one with the latest signFrom first.
func (s *SigningKeys) Keys() []*SigningKey { return append([]*SigningKey(nil), s.keys...) }

// Current returns the newest key that may sign now. The error is [ErrNoCurrentKey].
func (s *SigningKeys) Current(now time.Time) (*SigningKey, error) {
	for _, key := range s.keys {
		if key.plan.MaySignAt(now) {
			return key, nil
		}
	}
	return nil, ErrNoCurrentKey
}

// StateOf returns the state of a key of this directory now.
func (s *SigningKeys) StateOf(key *SigningKey, now time.Time) State {
	if current, err := s.Current(now); err == nil && current == key {
		return StateSigning
	}
	switch p := key.plan; {
	case now.Before(p.PublishAt):
		return StatePlanned
	case now.Before(p.SignFrom):
		return StatePublished
	case now.Before(p.RemoveAfter):
		return StateRetiring
	}
	return StateRemoved
}

// NextGap returns the next gap, during which no key may sign. from is now if no key may sign
// now. until is when the next key begins, and zero if there is no next key.
func (s *SigningKeys) NextGap(now time.Time) (from, until time.Time) {
	from = now
	for i := len(s.keys) - 1; i >= 0; i-- { // the oldest first
		if p := s.keys[i].plan; !p.SignFrom.After(from) && p.SignUntil.After(from) {
			from = p.SignUntil
		}
	}
	for _, key := range s.keys {
		if begin := key.plan.SignFrom; begin.After(from) && (until.IsZero() || begin.Before(until)) {
			until = begin
		}
	}
	return from, until
}

// JWKS returns the document (RFC 7517 section 5) with the keys that are published now:
// those that will sign, that sign, or that have signed tokens which may still be valid.
func (s *SigningKeys) JWKS(now time.Time) ([]byte, error) {
	keys := []jwk.Key{}
	for _, key := range s.keys {
		if !key.plan.IsPublishedAt(now) {
			continue
		}
		public, err := toJWK(key.kid, key.Public())
		if err != nil {
			return nil, err
		}
		keys = append(keys, public)
	}
	return marshalSet(keys)
}
