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

// MinterConfig are the settings of a [Minter]. Every field but Test and Now is required.
type MinterConfig struct {
	Issuer, Audience string        // the claims iss and aud
	Lifetime         time.Duration // of a token: 1 s to [MaxLifetime], cut to whole seconds
	MinRemaining     time.Duration // least time that the caller's credential must have left: 1 s to Lifetime
	Keys             *keyset.SigningKeys
	Test             bool             // mark every token with tctx.test; see [ErrTestKeys]
	Now              func() time.Time // nil: time.Now
}

// Test keys sign test tokens only, and production keys sign no test tokens. Test keys are
// left lying around on developers' machines, so a gateway must not sign with one. A token
// that is minted by hand must not have a signature that production trusts.
var (
	ErrTestKeys       = errors.New("these keys are marked test: true and sign test tokens only: make others with meshpass keys new")
	ErrProductionKeys = errors.New("these keys are not marked for tests: make test keys, with meshpass keys new --test")
)

// Minter signs tokens. It may be used from many goroutines.
type Minter struct {
	config MinterConfig
	rules  claimRules // those of a hop, applied to our own tokens
}

// NewMinter returns a minter, after it has signed with each of the keys and has verified
// the result by all rules. It returns an error for settings whose tokens no hop would
// accept, [ErrTestKeys], [ErrProductionKeys], and the error of that self-test.
func NewMinter(c MinterConfig) (*Minter, error) {
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.Lifetime = c.Lifetime.Truncate(time.Second) // NumericDates are whole seconds
	m := &Minter{config: c}
	for _, key := range c.Keys.Keys() {
		v, err := m.testKey(key)
		if err != nil {
			return nil, fmt.Errorf("self-test of key %s: %w", key.ID(), err)
		}
		m.rules = v.rules // the same for every key, as signatures are no part of them
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

// Mint signs a token for the identity, and returns it with its claims as a hop will read
// them. The token ends after the configured lifetime, or with the caller's own credential
// if that is earlier. An empty id.Txn is replaced by [NewTxn]. The error is an [*Error]
// with one of the reasons credential_expiring, no_signing_key and mint_failed.
func (m *Minter) Mint(id identity.Identity) (string, *identity.Claims, error) {
	return m.MintFor(id, m.config.Lifetime)
}

// MintFor is [Minter.Mint] with a shorter lifetime. A longer one than configured is cut.
func (m *Minter) MintFor(id identity.Identity, lifetime time.Duration) (string, *identity.Claims, error) {
	if id.Txn == "" {
		id.Txn = NewTxn()
	}
	key, input, err := m.prepare(id, lifetime)
	if err != nil {
		return "", nil, err
	}
	raw, err := signInput(key, input)
	if err != nil {
		return "", nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	if err := checkSize(len(raw), m.rules.maxBytes); err != nil {
		return "", nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	claims, err := m.readUnsigned(input)
	if err != nil {
		return "", nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	return raw, claims, nil
}

// ClaimsFor returns the claims of the token that [Minter.MintFor] would sign, without
// signing it. A signature costs most of all, and a policy may deny the request. Unlike
// MintFor it requires id.Txn.
func (m *Minter) ClaimsFor(id identity.Identity, lifetime time.Duration) (*identity.Claims, error) {
	_, input, err := m.prepare(id, lifetime)
	if err != nil {
		return nil, err
	}
	claims, err := m.readUnsigned(input)
	if err != nil {
		return nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	return claims, nil
}

// NewTxn returns a new transaction id: a UUIDv7 (RFC 9562), so that ids sort by time.
func NewTxn() string { return uuid.Must(uuid.NewV7()).String() }

// SelfTest signs with the current key and verifies the token by all rules of a hop. The
// token is dropped. The error is an [*Error] with the reason no_signing_key or
// mint_failed.
func (m *Minter) SelfTest() error {
	key, err := m.currentKey()
	if err != nil {
		return err
	}
	if _, err := m.testKey(key); err != nil {
		return &Error{Reason: decision.MintFailed, Cause: fmt.Errorf("self-test of key %s: %w", key.ID(), err)}
	}
	return nil
}

// testKey signs with the key and verifies the token. It returns the verifier, which
// trusts this key alone.
func (m *Minter) testKey(key *keyset.SigningKey) (*Verifier, error) {
	v, err := NewVerifier([]Trust{{
		Issuer: m.config.Issuer, Audience: m.config.Audience, Algorithms: keyset.Algorithms(),
		Keys: keyset.PublicKeysOf(key), MaxLifetime: m.config.Lifetime,
		Subjects: Any[string](), Requesters: Any[identity.Workload](),
	}}, identity.TrustDomains{}, Options{Now: m.config.Now, AllowTest: m.config.Test})
	if err != nil {
		return nil, err
	}
	input, err := m.signingInput(key, selfTestIdentity, m.config.Lifetime)
	if err != nil {
		return nil, err
	}
	raw, err := signInput(key, input)
	if err != nil {
		return nil, err
	}
	_, err = v.Verify(raw)
	return v, err
}

var selfTestIdentity = identity.Identity{
	Txn:       "self-test",
	Subject:   identity.Subject{Namespace: "custom", ID: "self-test"},
	Requester: "spiffe://self.test/ns/self/sa/test",
}

// prepare returns the current key, and what it signs for the identity.
func (m *Minter) prepare(id identity.Identity, lifetime time.Duration) (*keyset.SigningKey, string, error) {
	lifetime, err := m.capLifetime(id, lifetime)
	if err != nil {
		return nil, "", err
	}
	key, err := m.currentKey()
	if err != nil {
		return nil, "", err
	}
	input, err := m.signingInput(key, id, lifetime)
	if err != nil {
		return nil, "", &Error{Reason: decision.MintFailed, Cause: err}
	}
	return key, input, nil
}

// capLifetime never lets a token outlive the caller's credential. It returns an error for
// a credential that would end while the request is still being handled.
func (m *Minter) capLifetime(id identity.Identity, lifetime time.Duration) (time.Duration, error) {
	lifetime = min(lifetime, m.config.Lifetime)
	if id.NotAfter.IsZero() {
		return lifetime, nil
	}
	left := id.NotAfter.Sub(m.config.Now())
	if left < m.config.MinRemaining {
		return 0, newError(decision.CredentialExpiring, "less than %v of the caller's credential is left", m.config.MinRemaining)
	}
	return min(lifetime, left), nil
}

func (m *Minter) currentKey() (*keyset.SigningKey, error) {
	key, err := m.config.Keys.Current(m.config.Now())
	if err != nil {
		return nil, &Error{Reason: decision.NoSigningKey, Cause: err}
	}
	return key, nil
}

// signingInput returns the encoded header and claims, with a dot between (RFC 7515
// section 5.1).
func (m *Minter) signingInput(key *keyset.SigningKey, id identity.Identity, lifetime time.Duration) (string, error) {
	claims, err := m.encodePayload(id, lifetime)
	if err != nil {
		return "", err
	}
	header, err := json.Marshal(struct {
		Algorithm string `json:"alg"`
		KeyID     string `json:"kid"`
		Type      string `json:"typ"`
	}{Algorithm: key.Algorithm(), KeyID: key.ID(), Type: mediaType})
	if err != nil {
		return "", err
	}
	return strictBase64.EncodeToString(header) + "." + strictBase64.EncodeToString(claims), nil
}

func (m *Minter) encodePayload(id identity.Identity, lifetime time.Duration) ([]byte, error) {
	if err := checkIdentity(id); err != nil {
		return nil, err
	}
	tctx := transactionContext(id)
	if m.config.Test {
		tctx[testMember] = true
	}
	now := m.config.Now()
	return json.Marshal(payload{
		Issuer: m.config.Issuer, Audience: m.config.Audience,
		IssuedAt: now.Unix(), Expires: now.Add(lifetime).Unix(), // rounded down: never after the end of the credential
		Txn: id.Txn, Subject: id.Subject.String(), Scope: joinScopes(id.Scopes), Requester: id.Requester,
		Tctx: tctx, Rctx: requesterContext(id),
	})
}

func signInput(key *keyset.SigningKey, input string) (string, error) {
	signature, err := key.Sign([]byte(input))
	if err != nil {
		return "", err
	}
	return input + "." + strictBase64.EncodeToString(signature), nil
}

// readUnsigned reads header and claims that this minter has just encoded, by the rules of
// a hop, so that an identity that does not fit into a token is noticed here. No signature
// is looked at: the self-test of the key proves that. A [Verifier] has no such function,
// and text from outside never comes here.
func (m *Minter) readUnsigned(input string) (*identity.Claims, error) {
	p, err := parseUnsigned(input, m.rules.maxBytes)
	if err != nil {
		return nil, err
	}
	defer p.release()
	trust, times, err := m.rules.checkBeforeSignature(p)
	if err != nil {
		return nil, err
	}
	return m.rules.readClaims(p, times, trust)
}
