package token

import (
	"testing"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// Rebuilt decodes a token and encodes it again.
func Rebuilt(raw string) (string, error) {
	p, err := parse(raw, MaxBytes)
	if err != nil {
		return "", err
	}
	header := p.signingInput[:len(p.signingInput)-len(strictBase64.EncodeToString([]byte(p.payload)))]
	return string(header) + strictBase64.EncodeToString([]byte(p.payload)) + "." + strictBase64.EncodeToString(p.signature), nil
}

// Cached returns the number of tokens in the cache of this verifier.
func (v *Verifier) Cached() (count int) {
	for i := range v.cache.cache.shards {
		if s := &v.cache.cache.shards[i]; s.verifier == v.cache.verifier {
			count += len(s.younger) + len(s.older)
		}
	}
	return count
}

// Remembers reports whether the token is cached, and uses it.
func (v *Verifier) Remembers(raw string) bool { return v.cache.isKnown(hashToken(raw)) }

// Accepting returns a function that stores any text in the cache as if it were the valid
// token, without the work of signing.
func Accepting(t testing.TB, v *Verifier, valid string) func(raw string) {
	t.Helper()
	claims, err := v.CheckAllButSignature(valid)
	if err != nil {
		t.Fatal(err)
	}
	return func(raw string) {
		key := hashToken(raw)
		v.cache.store(key)
		v.cache.keepRecent(raw, key, verifiedToken{claims: claims})
	}
}

// VerifyByReference verifies a token by the reference.
func (v *Verifier) VerifyByReference(raw string) (*identity.Claims, []decision.Reason) {
	return v.verifyReference(raw)
}

// ParseByReference reads a JSON object by the reference.
func ParseByReference(data []byte) (map[string]any, []string) { return parseObjectReference(data) }

// CheckAllButSignature applies every rule of [Verifier.Verify] but those about the signature.
func (v *Verifier) CheckAllButSignature(raw string) (*identity.Claims, error) {
	p, err := parse(raw, v.rules.maxBytes)
	if err != nil {
		return nil, err
	}
	defer p.release()
	trust, times, err := v.rules.checkBeforeSignature(p)
	if err != nil {
		return nil, err
	}
	claims, err := v.rules.readClaims(p, times, trust)
	if err != nil {
		return nil, err
	}
	return claims, v.checkNow(verifiedToken{claims: claims, kid: p.kid, times: times, trust: trust})
}
