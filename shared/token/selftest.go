package token

import (
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// SelfTest signs with the key whose time it is, has the full rules of a hop judge
// the token, and throws it away. The error is an [*Error].
func (m *Minter) SelfTest() error {
	key, err := m.config.Keys.Current(m.config.Now())
	if err != nil {
		return &Error{Reason: decision.NoSigningKey, Cause: err}
	}
	if _, err := m.selfTest(key); err != nil {
		return &Error{Reason: decision.MintFailed, Cause: fmt.Errorf("self-test of key %s: %w", key.ID(), err)}
	}
	return nil
}

// selfTest gives the verifier that knows this key alone.
func (m *Minter) selfTest(key *keyset.SigningKey) (*Verifier, error) {
	v, err := NewVerifier([]Trust{{
		Issuer: m.config.Issuer, Audience: m.config.Audience, Algorithms: keyset.Algorithms(),
		Keys: keyset.PublicKeysOf(key), MaxLifetime: m.config.Lifetime,
	}}, identity.TrustDomains{}, Options{Now: m.config.Now, AllowTest: m.config.Test})
	if err != nil {
		return nil, err
	}
	raw, err := m.sign(key, selfTestIdentity, m.config.Lifetime)
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
