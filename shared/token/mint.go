package token

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/meshpass/meshpass/internal/jsonwrite"
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
	config  MinterConfig
	rules   claimRules                    // those of a hop, applied to our own tokens
	headers map[*keyset.SigningKey]string // the encoded header of each key's tokens
	issuer  string                        // the start of the claims, which is the same in each token
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
	m := &Minter{config: c, headers: map[*keyset.SigningKey]string{}, issuer: startPayload(c)}
	for _, key := range c.Keys.Keys() {
		m.headers[key] = encodeHeader(key)
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
	d, err := m.newDraft(id, lifetime)
	if err != nil {
		return "", nil, err
	}
	defer d.release()
	raw, err := m.signDraft(d)
	if err != nil {
		return "", nil, err
	}
	return raw, d.readClaims(), nil
}

// MintToken is [Minter.MintFor] without the claims, which the edge does not read. Unlike
// MintFor it requires id.Txn.
func (m *Minter) MintToken(id identity.Identity, lifetime time.Duration) (string, error) {
	d, err := m.newDraft(id, lifetime)
	if err != nil {
		return "", err
	}
	defer d.release()
	return m.signDraft(d)
}

// ClaimsFor returns the claims of the token that [Minter.MintFor] would sign, without
// signing it. A signature costs most of all, and a policy may deny the request. Unlike
// MintFor it requires id.Txn.
func (m *Minter) ClaimsFor(id identity.Identity, lifetime time.Duration) (*identity.Claims, error) {
	d, err := m.newDraft(id, lifetime)
	if err != nil {
		return nil, err
	}
	defer d.release()
	return d.readClaims(), nil
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
	p := parsedPool.Get().(*parsed)
	defer p.release()
	if err := m.writeInput(p, key, selfTestIdentity, m.config.Lifetime); err != nil {
		return nil, err
	}
	raw, err := signInput(p, key)
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

// draft is a token without its signature, which has passed the rules of a hop.
type draft struct {
	*parsed
	key    *keyset.SigningKey
	claims identity.Claims // those that are texts and times
}

// readClaims returns the claims as a hop will read them. They belong to the caller.
func (d *draft) readClaims() *identity.Claims {
	c := d.claims
	c.Tctx, c.Rctx = makeObject(d.parsed, "tctx"), makeObject(d.parsed, "rctx")
	return &c
}

// newDraft writes what the current key will sign for the identity. The caller releases it.
func (m *Minter) newDraft(id identity.Identity, lifetime time.Duration) (*draft, error) {
	lifetime, err := m.capLifetime(id, lifetime)
	if err != nil {
		return nil, err
	}
	d := &draft{}
	if d.key, err = m.currentKey(); err != nil {
		return nil, err
	}
	d.parsed = parsedPool.Get().(*parsed)
	if err = m.writeInput(d.parsed, d.key, id, lifetime); err == nil {
		err = m.checkUnsigned(d.parsed, &d.claims)
	}
	if err != nil {
		d.release()
		return nil, &Error{Reason: decision.MintFailed, Cause: err}
	}
	return d, nil
}

// signDraft completes the token.
func (m *Minter) signDraft(d *draft) (string, error) {
	raw, err := signInput(d.parsed, d.key)
	if err == nil {
		err = checkSize(len(raw), m.rules.maxBytes)
	}
	if err != nil {
		return "", &Error{Reason: decision.MintFailed, Cause: err}
	}
	return raw, nil
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

// writeInput writes the encoded header and claims, with a dot between (RFC 7515 section 5.1).
func (m *Minter) writeInput(p *parsed, key *keyset.SigningKey, id identity.Identity, lifetime time.Duration) (err error) {
	if p.decoded, err = m.appendPayload(p.decoded[:0], id, lifetime); err != nil {
		return err
	}
	p.text = append(append(p.text[:0], m.headers[key]...), '.')
	p.text = strictBase64.AppendEncode(p.text, p.decoded)
	p.signingInput, p.payload = p.text, string(p.decoded)
	p.algorithm, p.kid = key.Algorithm(), key.ID()
	return nil
}

// encodeHeader returns the header of the key's tokens. The names are in the order of the text.
func encodeHeader(key *keyset.SigningKey) string {
	header := append(jsonwrite.AppendText([]byte(`{"alg":`), key.Algorithm()), `,"kid":`...)
	header = append(jsonwrite.AppendText(header, key.ID()), `,"typ":`...)
	header = append(jsonwrite.AppendText(header, mediaType), '}')
	return strictBase64.EncodeToString(header)
}

// signInput signs what writeInput has written, and returns the whole token.
func signInput(p *parsed, key *keyset.SigningKey) (string, error) {
	signature, err := key.Sign(p.signingInput)
	if err != nil {
		return "", err
	}
	p.text = strictBase64.AppendEncode(append(p.text, '.'), signature)
	return string(p.text), nil
}

// checkUnsigned reads the claims that this minter has just encoded, by the rules of a hop,
// so that an identity that does not fit into a token is noticed here. The self-test of the
// key proves header and signature. A [Verifier] has no such function, and text from outside
// never comes here.
func (m *Minter) checkUnsigned(p *parsed, c *identity.Claims) error {
	if err := checkSize(len(p.signingInput), m.rules.maxBytes); err != nil {
		return err
	}
	if err := readJSON("claims", p.payload, &p.claims); err != nil {
		return err
	}
	trust, times, err := m.rules.checkBeforeSignature(p)
	if err != nil {
		return err
	}
	return m.rules.checkClaims(p, times, trust, c)
}
