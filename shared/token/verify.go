package token

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
	"github.com/meshpass/meshpass/shared/revocation"
)

// verifiedToken is a token that has passed every rule but the one about revocations. All
// that can change about it is the time, and whether it is revoked.
type verifiedToken struct {
	claims     *identity.Claims
	kid        string
	times      tokenTimes
	trust      Trust
	remembered bool // its signature was verified before
}

// MaxBytes is the largest size of a token, minted or accepted. [Options] can lower it
// for a verifier.
const MaxBytes = 8192

// Options of a [Verifier]. The zero value has the defaults.
type Options struct {
	MaxBytes  int              // size limit, checked before any parsing; 0: [MaxBytes]
	AllowTest bool             // accept tokens that were minted for tests (tctx.test)
	Now       func() time.Time // nil: time.Now

	Revocations revocation.Checker // the zero value revokes nothing
	Cache       *Cache             // keeps verified tokens; nil: each token is verified again

	// KeyMissing is called with the kid of a token that is not in its issuer's key set,
	// while the token is being verified: it must not block. A client chooses the kid,
	// which has at most 64 bytes. Nil: nothing is called.
	KeyMissing func(issuer, kid string)
}

// Verifier accepts the tokens of the issuers that it trusts. It never changes, and may
// be used from many goroutines.
type Verifier struct {
	rules      claimRules
	keyOutage  bool // there are home issuers, and all of them are without keys
	revoked    revocation.Checker
	cache      cacheView
	keyMissing func(issuer, kid string)
}

// NewVerifier returns a verifier for the tokens of these issuers. domains are the trust
// domains of the mesh, for the claim req_wl. It returns an error for an empty list,
// an issuer or a key that is listed twice, an incomplete entry, and a size limit above
// [MaxBytes].
func NewVerifier(trust []Trust, domains identity.TrustDomains, o Options) (*Verifier, error) {
	issuers, err := indexByIssuer(trust)
	if err != nil {
		return nil, err
	}
	if o.MaxBytes < 0 || o.MaxBytes > MaxBytes {
		return nil, errors.New("the size limit of tokens can only be lowered")
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = MaxBytes
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.KeyMissing == nil {
		o.KeyMissing = func(string, string) {}
	}
	return &Verifier{
		rules: claimRules{
			issuers: issuers, domains: domains, maxBytes: o.MaxBytes, allowTest: o.AllowTest, now: o.Now,
		},
		keyOutage: isKeyOutage(issuers), revoked: o.Revocations, cache: newCacheView(o.Cache), keyMissing: o.KeyMissing,
	}, nil
}

// isKeyOutage reports whether there are home issuers and all of them are without keys.
// Other issuers cannot cause an outage.
func isKeyOutage(issuers map[string]Trust) bool {
	home := false
	for _, trust := range issuers {
		if trust.Home && !trust.NoKeys {
			return false
		}
		home = home || trust.Home
	}
	return home
}

// Verify returns the claims of a token that passes every rule. The claims belong to the
// caller. The error is an [*Error] with the reason of the first rule that the token
// fails.
func (v *Verifier) Verify(raw string) (*identity.Claims, error) {
	t, err := v.verifyAt(raw, v.hash(raw))
	return t.claims, err
}

// VerifyShared is [Verifier.Verify] with claims that callers share: they must not be changed. A
// token that came lately is not read again.
func (v *Verifier) VerifyShared(raw string) (*identity.Claims, error) {
	key := v.hash(raw)
	if recent := v.cache.findRecent(key); recent != nil {
		if err := v.checkNow(recent.token); err != nil {
			return nil, err
		}
		return recent.token.claims, nil
	}
	t, err := v.verifyAt(raw, key)
	if err == nil {
		v.cache.keepRecent(raw, key, t)
	}
	return t.claims, err
}

// hash ignores texts that are longer than any token, because it comes before all rules.
func (v *Verifier) hash(raw string) (key cacheKey) {
	if v.cache.cache != nil && len(raw) <= MaxBytes {
		key = hashToken(raw)
	}
	return key
}

// verifyAt applies every rule to the token with the hash key, and remembers it.
func (v *Verifier) verifyAt(raw string, key cacheKey) (verifiedToken, error) {
	t, err := v.verifySigned(raw, key)
	if err == nil {
		err = v.checkNow(t)
	}
	if err != nil {
		return verifiedToken{}, err
	}
	if !t.remembered {
		v.cache.store(key)
	}
	return t, nil
}

// verifySigned applies every rule but the one about revocations (25), in the order of
// docs/token.md.
func (v *Verifier) verifySigned(raw string, key cacheKey) (verifiedToken, error) {
	p, err := parse(raw, v.rules.maxBytes)
	if err != nil {
		return verifiedToken{}, err
	}
	defer p.release()
	trust, times, err := v.rules.checkBeforeSignature(p)
	if err != nil {
		return verifiedToken{}, err
	}
	if trust.NoKeys {
		return verifiedToken{}, v.errorWithoutKeys(p, times, trust)
	}
	remembered := v.cache.isKnown(key) // this verifier has verified its signature before, with the same key set
	if !remembered {
		err = verifySignature(p, trust.Keys)
	}
	if err != nil {
		if ReasonOf(err) == decision.KeyUnknown {
			v.keyMissing(trust.Issuer, strings.Clone(p.kid)) // p.kid is a part of the whole token
		}
		return verifiedToken{}, err
	}
	claims, err := v.rules.readClaims(p, times, trust)
	if err != nil {
		return verifiedToken{}, err
	}
	return verifiedToken{claims: claims, kid: p.kid, times: times, trust: trust, remembered: remembered}, nil
}

// verifySignature checks the token by the key that its kid names (10), by that key's
// one algorithm (2), over the bytes as they were received (22).
func verifySignature(p *parsed, keys *keyset.PublicKeys) error {
	key, known := keys.KeyByID(p.kid)
	if !known {
		return newError(decision.KeyUnknown, "kid is not in the issuer's key set")
	}
	if key.Algorithm != p.algorithm {
		return newError(decision.AlgorithmKey, "alg is %s, the key's is %s", p.algorithm, key.Algorithm)
	}
	if err := key.Verify(p.signingInput, p.signature); err != nil {
		return &Error{Reason: decision.SignatureInvalid, Cause: err}
	}
	return nil
}

// errorWithoutKeys returns the error for a token of an issuer without keys: that of a
// rule which needs no key, or else keys_unavailable. Only the latter can be an outage,
// and only for a home issuer, because anyone can write the name of any issuer into a
// token that is not signed. For the same reason stale revocations are no outage for such
// a token: it is not verified.
func (v *Verifier) errorWithoutKeys(p *parsed, times tokenTimes, trust Trust) error {
	claims, err := v.rules.readClaims(p, times, trust)
	if err != nil {
		return err
	}
	unverified := verifiedToken{claims: claims, kid: p.kid, times: times, trust: trust}
	if err := v.checkNow(unverified); err != nil && ReasonOf(err) != decision.RevocationStale {
		return err
	}
	v.keyMissing(trust.Issuer, strings.Clone(p.kid)) // so that a key set is fetched now, and not at its next turn, minutes later
	cause := errors.New("there is no usable key set of the issuer")
	return &Error{Reason: decision.KeysUnavailable, Cause: cause, Outage: v.keyOutage && trust.Home}
}

// checkNow applies the rules whose answer changes while a token is cached: those about
// time (14) and revocations (25).
func (v *Verifier) checkNow(t verifiedToken) error {
	now := v.rules.now()
	if err := t.times.check(now, t.trust); err != nil {
		return err
	}
	sid, _ := t.claims.Tctx["sid"].(string)
	reason := v.revoked.DenialReason(revocation.Token{
		Issuer: t.claims.Issuer, Txn: t.claims.Txn, SID: sid, Subject: t.claims.Subject,
		KeyID: t.kid, Issued: t.claims.IssuedAt,
	}, now)
	if reason != "" {
		cause := fmt.Errorf("transaction %s, key %s", t.claims.Txn, t.kid)
		return &Error{Reason: reason, Cause: cause, Outage: reason == decision.RevocationStale}
	}
	return nil
}
