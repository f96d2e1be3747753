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

// ErrNoKey says that no key may sign at this time.
var ErrNoCurrentKey = errors.New("no signing key whose time has come")

// SigningKey is one private key. It is opaque so that it cannot be printed, compared
// or marshalled by mistake.
type SigningKey struct {
	kid, algorithm string
	plan           Plan
	private        crypto.Signer
}

// ID is the key's thumbprint: the kid of its tokens.
func (k *SigningKey) ID() string { return k.kid }

// Algorithm is the one algorithm that the key signs with.
func (k *SigningKey) Algorithm() string { return k.algorithm }

// Plan is the key's times.
func (k *SigningKey) Plan() Plan { return k.plan }

// Sign gives the raw JWS signature over the signing input (RFC 7515 section 5.1).
func (k *SigningKey) Sign(input []byte) ([]byte, error) {
	return sign(k.private, input)
}

// Public is the other half, as a hop will see it.
func (k *SigningKey) Public() PublicKey {
	return PublicKey{Algorithm: k.algorithm, key: k.private.Public()}
}

// SigningKeys is the content of a key directory: immutable once loaded.
type SigningKeys struct {
	keys []*SigningKey // newest signFrom first
	test bool
}

// LoadSigningKeys reads a directory with keys.yaml and one KID.pem (PKCS#8) for each
// key in it. All of it is right or none of it is used.
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

func (k *SigningKey) newerThan(other *SigningKey) bool {
	if !k.plan.SignFrom.Equal(other.plan.SignFrom) {
		return k.plan.SignFrom.After(other.plan.SignFrom)
	}
	return k.kid < other.kid
}

// parseKey never repeats what it read: the bytes may be a secret.
func parseKey(data []byte) (*SigningKey, error) {
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
	return newKey(private)
}

func newKey(private crypto.Signer) (*SigningKey, error) {
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

// IsTest says that the directory is marked test: true: its keys sign tokens for
// tests, and nothing that production may believe.
func (s *SigningKeys) IsTest() bool { return s.test }

// Keys lists every key, the newest first: what a self-test goes through.
func (s *SigningKeys) Keys() []*SigningKey { return append([]*SigningKey(nil), s.keys...) }

// Current is the newest key that may sign now, or [ErrNoCurrentKey].
func (s *SigningKeys) Current(now time.Time) (*SigningKey, error) {
	for _, key := range s.keys {
		if key.plan.MaySignAt(now) {
			return key, nil
		}
	}
	return nil, ErrNoCurrentKey
}

// StateOf says what the key, one of this set, does now.
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

// NextGap says from when on no key signs, which is now if none does, and when the
// next one begins; zero: none ever will.
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

// JWKS is the document (RFC 7517 section 5) with the keys that are to be known
// now: those that will sign, sign, or have signed tokens that may still live.
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
