package token

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// MinterConfig says for whom tokens are signed. Every field but the last two is
// required.
type MinterConfig struct {
	Issuer, Audience string
	Lifetime         time.Duration // of a token; at most [MaxLifetime]
	MinRemaining     time.Duration // what the caller's own credential must have left
	Keys             *keyset.SigningKeys
	Test             bool             // mark every token with tctx.test; see [ErrTestKeys]
	Now              func() time.Time // nil: the wall clock
}

// Test keys and production keys never stand for each other. A test key lies
// about on developers' machines, so a gateway must not sign with it; a token that
// is minted by hand must not carry a signature that production believes.
var (
	ErrTestKeys       = errors.New("these keys are marked test: true and sign test tokens only: make others with meshpass keys new")
	ErrProductionKeys = errors.New("these keys are not marked for tests: make test keys, with meshpass keys new --test")
)

// Minter signs tokens. It may be used from many goroutines.
type Minter struct {
	config MinterConfig
	reader *Verifier // applies to our own output what a hop will
}

// NewMinter refuses settings with which no hop would accept a token, and tests
// every key: it signs, and the verifier's full rules must accept.
func NewMinter(c MinterConfig) (*Minter, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Lifetime = c.Lifetime.Truncate(time.Second) // NumericDates are whole seconds
	m := &Minter{config: c}
	var err error
	for _, key := range c.Keys.Keys() {
		// The last one's verifier is kept for its claim rules, which are the same for every key.
		if m.reader, err = m.selfTest(key); err != nil {
			return nil, fmt.Errorf("self-test of key %s: %w", key.ID(), err)
		}
	}
	return m, nil
}

func (c MinterConfig) check() error {
	switch {
	case c.Issuer == "":
		return errors.New("issuer is empty")
	case c.Lifetime < time.Second || c.Lifetime > MaxLifetime:
		return fmt.Errorf("lifetime %v: want 1s to %v", c.Lifetime, MaxLifetime)
	case c.MinRemaining < time.Second || c.MinRemaining > c.Lifetime:
		return fmt.Errorf("minRemaining %v: want 1s to the lifetime, %v", c.MinRemaining, c.Lifetime)
	case c.Keys == nil || len(c.Keys.Keys()) == 0:
		return errors.New("no signing keys")
	case c.Keys.IsTest() && !c.Test:
		return ErrTestKeys
	case c.Test && !c.Keys.IsTest():
		return ErrProductionKeys
	}
	return CheckAudience(c.Audience)
}

// Mint signs a token for the identity and gives the claims as a hop will read
// them. The token ends with the configured lifetime or with the caller's own
// credential, whichever is first; the error is an [*Error].
func (m *Minter) Mint(id identity.Identity) (string, *identity.Claims, error) {
	return m.MintFor(id, m.config.Lifetime)
}

// MintFor is [Minter.Mint] with a shorter lifetime; a longer one is cut.
func (m *Minter) MintFor(id identity.Identity, lifetime time.Duration) (string, *identity.Claims, error) {
	lifetime, err := m.cap(id, lifetime)
	if err != nil {
		return "", nil, err
	}
	key, err := m.config.Keys.Current(m.config.Now())
	if err != nil {
		return "", nil, &Error{Reason: decision.NoSigningKey, Cause: err}
	}
	if id.Txn == "" {
		id.Txn = NewTxn()
	}
	raw, err := m.sign(key, id, lifetime)
	if err != nil {
		return "", nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	// Every rule but the signature, which the self-test stands for: an identity
	// that does not fit is noticed here and not at the first hop.
	made, err := m.reader.read(raw, nil)
	if err != nil {
		return "", nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	return raw, made.claims, nil
}

// NewTxn makes a transaction id: a UUIDv7 (RFC 9562), so that ids sort by time.
func NewTxn() string { return uuid.Must(uuid.NewV7()).String() }

// cap never lets a token outlive the credential that it stands for, and refuses
// one that would end while the request is still under way.
func (m *Minter) cap(id identity.Identity, lifetime time.Duration) (time.Duration, error) {
	lifetime = min(lifetime, m.config.Lifetime)
	if id.NotAfter.IsZero() {
		return lifetime, nil
	}
	left := id.NotAfter.Sub(m.config.Now())
	if left < m.config.MinRemaining {
		return 0, refuse(decision.CredentialExpiring, "less than %v of the caller's credential is left", m.config.MinRemaining)
	}
	return min(lifetime, left), nil
}

// ClaimsFor gives what a token for the identity would say, as a hop would read it,
// without one: signing costs most of all, and a policy may want no token at all.
func (m *Minter) ClaimsFor(id identity.Identity, lifetime time.Duration) (*identity.Claims, error) {
	lifetime, err := m.cap(id, lifetime)
	if err != nil {
		return nil, err
	}
	key, err := m.config.Keys.Current(m.config.Now())
	if err != nil {
		return nil, &Error{Reason: decision.NoSigningKey, Cause: err}
	}
	input, err := m.input(key, id, lifetime)
	if err != nil {
		return nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	const unsigned = ".AA" // any signature will do, as none is looked at
	made, err := m.reader.read(input+unsigned, nil)
	if err != nil {
		return nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	return made.claims, nil
}

func (m *Minter) sign(key *keyset.SigningKey, id identity.Identity, lifetime time.Duration) (string, error) {
	input, err := m.input(key, id, lifetime)
	if err != nil {
		return "", err
	}
	signature, err := key.Sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + strictBase64.EncodeToString(signature), nil
}

// input is what is signed: RFC 7515 section 5.1.
func (m *Minter) input(key *keyset.SigningKey, id identity.Identity, lifetime time.Duration) (string, error) {
	payload, err := m.payload(id, lifetime)
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{key.Algorithm(), key.ID(), mediaType})
	if err != nil {
		return "", err
	}
	return strictBase64.EncodeToString(header) + "." + strictBase64.EncodeToString(payload), nil
}
