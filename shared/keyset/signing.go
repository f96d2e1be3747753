package keyset

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwk"

	"github.com/meshpass/meshpass/shared/strictyaml"
)

// ErrNoKey says that no key may sign at this time.
var ErrNoKey = errors.New("no signing key whose time has come")

// Key is one private key. It is opaque so that it cannot be printed, compared
// or marshalled by mistake.
type Key struct {
	kid, algorithm string
	plan           Plan
	private        crypto.Signer
}

// ID is the key's thumbprint: the kid of its tokens.
func (k *Key) ID() string { return k.kid }

// Algorithm is the one algorithm that the key signs with.
func (k *Key) Algorithm() string { return k.algorithm }

// Plan is the key's times.
func (k *Key) Plan() Plan { return k.plan }

// Sign gives the raw JWS signature over the signing input (RFC 7515 section 5.1).
func (k *Key) Sign(input []byte) ([]byte, error) {
	return sign(k.private, input)
}

// Public is the other half, as a hop will see it.
func (k *Key) Public() PublicKey {
	return PublicKey{Algorithm: k.algorithm, key: k.private.Public()}
}

// Signing is the content of a key directory: immutable once loaded.
type Signing struct {
	keys []*Key // newest signFrom first
	test bool
}

// planFile is keys.yaml: the times of each key, by its thumbprint.
type planFile struct {
	Test bool            `yaml:"test,omitempty"` // the keys sign test tokens only
	Keys map[string]Plan `yaml:"keys"`
}

const planName = "keys.yaml"

// LoadSigning reads a directory with keys.yaml and one KID.pem (PKCS#8) for each
// key in it. All of it is right or none of it is used.
func LoadSigning(dir string) (*Signing, error) {
	plans, err := readPlans(dir)
	if err != nil {
		return nil, err
	}
	s := &Signing{test: plans.Test}
	for kid, plan := range plans.Keys {
		key, err := loadKey(dir, kid, plan)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, key)
	}
	sort.Slice(s.keys, func(i, j int) bool { return s.keys[i].newerThan(s.keys[j]) })
	return s, nil
}

func (k *Key) newerThan(other *Key) bool {
	if !k.plan.SignFrom.Equal(other.plan.SignFrom) {
		return k.plan.SignFrom.After(other.plan.SignFrom)
	}
	return k.kid < other.kid
}

func readPlans(dir string) (planFile, error) {
	var plans planFile
	path := filepath.Join(dir, planName)
	data, err := os.ReadFile(path)
	if err != nil {
		return plans, fmt.Errorf("signing keys: %w", err)
	}
	doc, err := strictyaml.Parse(data)
	if err != nil {
		return plans, fmt.Errorf("%s: %w", path, err)
	}
	if err := doc.Decode(&plans).Err(); err != nil {
		return plans, fmt.Errorf("%s: %w", path, err)
	}
	if len(plans.Keys) == 0 {
		return plans, fmt.Errorf("%s: no keys", path)
	}
	return plans, nil
}

func loadKey(dir, kid string, plan Plan) (*Key, error) {
	if filepath.Base(kid) != kid {
		return nil, fmt.Errorf("%s: kid %.64q is not a thumbprint", planName, kid)
	}
	if err := plan.check(); err != nil {
		return nil, fmt.Errorf("%s: key %s: %w", planName, kid, err)
	}
	data, err := os.ReadFile(filepath.Join(dir, kid+".pem"))
	if err != nil {
		return nil, fmt.Errorf("signing keys: %w", err)
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s.pem: %w", kid, err)
	}
	if key.kid != kid {
		return nil, fmt.Errorf("%s.pem: holds another key, whose thumbprint is %s", kid, key.kid)
	}
	key.plan = plan
	return key, nil
}

// parseKey never repeats what it read: the bytes may be a secret.
func parseKey(data []byte) (*Key, error) {
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
		return nil, ErrKeyKind
	}
	return newKey(private)
}

func newKey(private crypto.Signer) (*Key, error) {
	algorithm, err := algorithmOf(private.Public())
	if err != nil {
		return nil, err
	}
	kid, err := thumbprint(private.Public())
	if err != nil {
		return nil, err
	}
	return &Key{kid: kid, algorithm: algorithm, private: private}, nil
}

// Test says that the directory is marked test: true: its keys sign tokens for
// tests, and nothing that production may believe.
func (s *Signing) Test() bool { return s.test }

// Keys lists every key, the newest first: what a self-test goes through.
func (s *Signing) Keys() []*Key { return append([]*Key(nil), s.keys...) }

// Current is the newest key that may sign now, or [ErrNoKey].
func (s *Signing) Current(now time.Time) (*Key, error) {
	for _, key := range s.keys {
		if key.plan.Signs(now) {
			return key, nil
		}
	}
	return nil, ErrNoKey
}

// JWKS is the document (RFC 7517 section 5) with the keys that are to be known
// now: those that will sign, sign, or have signed tokens that may still live.
func (s *Signing) JWKS(now time.Time) ([]byte, error) {
	set := struct {
		Keys []jwk.Key `json:"keys"`
	}{Keys: []jwk.Key{}}
	for _, key := range s.keys {
		if !key.plan.Published(now) {
			continue
		}
		public, err := key.toJWK()
		if err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, public)
	}
	return json.MarshalIndent(set, "", "  ")
}

func (k *Key) toJWK() (jwk.Key, error) {
	key, err := jwk.FromRaw(k.private.Public())
	if err != nil {
		return nil, err
	}
	members := []struct {
		name  string
		value any
	}{{jwk.KeyIDKey, k.kid}, {jwk.AlgorithmKey, jwa.SignatureAlgorithm(k.algorithm)}, {jwk.KeyUsageKey, jwk.ForSignature}}
	for _, m := range members {
		if err := key.Set(m.name, m.value); err != nil {
			return nil, err
		}
	}
	return key, nil
}
