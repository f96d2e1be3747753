package token

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/revocation"
)

// MaxBytes is the largest token that is minted, and read unless configured lower.
const MaxBytes = 8192

// Options of a [Verifier]. Zero values mean the defaults.
type Options struct {
	MaxBytes  int              // size cap before any parsing; 0: [MaxBytes]
	AllowTest bool             // admit tokens that were minted by hand, with tctx.test
	Now       func() time.Time // nil: the wall clock

	Revocations revocation.Checker // the zero value: nothing is revoked
	Cache       *Cache             // remembers accepted tokens; nil: none are

	// KeyMissing is told of a kid that is not in the issuer's set, on the way to the
	// refusal: it must not wait for anything. The kid is whatever a client sent, 64
	// bytes at most. Nil: nobody is told.
	KeyMissing func(issuer, kid string)
}

// Verifier accepts the tokens of the issuers that it trusts. It may be used from
// many goroutines. It is immutable, so a change of trust is a new verifier, and what
// another one accepted counts for nothing.
type Verifier struct {
	issuers   map[string]Trust
	keyOutage bool // there are home issuers, and none of them has keys
	domains   identity.TrustDomains
	maxBytes  int
	allowTest bool
	now       func() time.Time
	revoked   revocation.Checker
	cache     view
	missing   func(issuer, kid string)
}

// NewVerifier refuses an empty list, an issuer or key that stands twice, and
// entries that leave out what makes verification strict.
func NewVerifier(trust []Trust, domains identity.TrustDomains, o Options) (*Verifier, error) {
	issuers, err := byIssuer(trust)
	if err != nil {
		return nil, err
	}
	if o.MaxBytes < 0 || o.MaxBytes > MaxBytes {
		return nil, errors.New("the size cap of tokens can only be lowered")
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
		issuers: issuers, keyOutage: noHomeKeys(issuers), domains: domains, maxBytes: o.MaxBytes, allowTest: o.AllowTest, now: o.Now,
		revoked: o.Revocations, cache: viewOf(o.Cache), missing: o.KeyMissing,
	}, nil
}

// noHomeKeys reports a key outage. Issuers that are not home cannot cause one, and
// with no home issuer there is none.
func noHomeKeys(issuers map[string]Trust) bool {
	home := false
	for _, trust := range issuers {
		if trust.Home && !trust.NoKeys {
			return false
		}
		home = home || trust.Home
	}
	return home
}

// Verify gives the claims of a token that passes every rule. The error is an
// [*Error] with the first rule that it fails.
func (v *Verifier) Verify(raw string) (*identity.Claims, error) {
	if packed, hit := v.cache.get(raw); hit {
		known := v.unpack(packed)
		if err := v.stillHolds(known); err != nil {
			return nil, err
		}
		return known.claims, nil
	}
	fresh, err := v.read(raw, v.checkSigned)
	if err != nil {
		return nil, err
	}
	if err := v.stillHolds(fresh); err != nil {
		return nil, err
	}
	v.cache.put(raw, fresh)
	return fresh.claims, nil
}

// accepted is a token that has passed the rules up to 24, which say the same of
// it for ever but for the time.
type accepted struct {
	claims *identity.Claims
	kid    string
	times  times
	trust  Trust
}

// stillHolds applies what changes while a token is remembered: the time, and
// what was revoked (rule 25).
func (v *Verifier) stillHolds(a accepted) error {
	now := v.now()
	if err := a.times.check(now, a.trust); err != nil {
		return err
	}
	sid, _ := a.claims.Tctx["sid"].(string)
	reason := v.revoked.DenialReason(revocation.Token{
		Issuer: a.claims.Issuer, Txn: a.claims.Txn, SID: sid, Subject: a.claims.Subject,
		KeyID: a.kid, Issued: a.claims.IssuedAt,
	}, now)
	if reason != "" {
		cause := fmt.Errorf("transaction %s, key %s", a.claims.Txn, a.kid)
		return &Error{Reason: reason, Cause: cause, Outage: reason == decision.RevocationStale}
	}
	return nil
}

// read applies the rules up to 24 in order; signed is nil only for a token that
// this process made a moment ago.
func (v *Verifier) read(raw string, signed func(*parsed, Trust) error) (a accepted, err error) {
	p, err := parse(raw, v.maxBytes)
	if err != nil {
		return a, err
	}
	trust, err := v.trustIn(p)
	if err != nil {
		return a, err
	}
	// The time first, as it is cheap; nothing else of the claims is believed
	// before the signature holds (rule 21).
	t, err := readTimes(p.claims)
	if err != nil {
		return a, err
	}
	if err := t.check(v.now(), trust); err != nil {
		return a, err
	}
	if signed != nil && trust.NoKeys {
		return a, v.withoutKeys(p, t, trust)
	}
	if signed != nil {
		if err := signed(p, trust); err != nil {
			return a, err
		}
	}
	claims, err := v.readClaims(p.claims, t, trust)
	return accepted{claims, p.kid, t, trust}, err
}

// trustIn selects the issuer's own keys by its name: key sets are never searched
// across issuers (rule 12).
func (v *Verifier) trustIn(p *parsed) (Trust, error) {
	issuer, _ := p.claims["iss"].(string)
	trust, known := v.issuers[issuer]
	if !known {
		return Trust{}, refuse(decision.IssuerUnknown, "iss is not trusted")
	}
	if !slices.Contains(trust.Algorithms, p.algorithm) {
		return Trust{}, refuse(decision.AlgorithmRefused, "alg is not one that this issuer signs with")
	}
	return trust, nil
}

// withoutKeys refuses: for any rule that can still be judged, or because the one
// about the signature cannot. Only the latter can be an outage, and only for a home
// issuer: anybody can write the name of any issuer into a token that nobody signed.
// Stale revocations are no outage for such a token: it is not verified.
func (v *Verifier) withoutKeys(p *parsed, t times, trust Trust) error {
	claims, err := v.readClaims(p.claims, t, trust)
	if err != nil {
		return err
	}
	if err := v.stillHolds(accepted{claims, p.kid, t, trust}); err != nil && ReasonOf(err) != decision.RevocationStale {
		return err
	}
	v.missing(trust.Issuer, p.kid) // a server that is back is to be noticed before its next turn, minutes later
	cause := errors.New("there is no usable key set of the issuer")
	return &Error{Reason: decision.KeysUnavailable, Cause: cause, Outage: v.keyOutage && trust.Home}
}

// checkSigned tells of a key that is missing, besides refusing.
func (v *Verifier) checkSigned(p *parsed, trust Trust) error {
	err := checkSignature(p, trust)
	if ReasonOf(err) == decision.KeyUnknown {
		v.missing(trust.Issuer, p.kid)
	}
	return err
}

func checkSignature(p *parsed, trust Trust) error {
	key, known := trust.Keys.KeyByID(p.kid)
	if !known {
		return refuse(decision.KeyUnknown, "kid is not in the issuer's key set")
	}
	if key.Algorithm != p.algorithm {
		return refuse(decision.AlgorithmKey, "alg is %s, the key's is %s", p.algorithm, key.Algorithm)
	}
	if err := key.Verify(p.signingInput, p.signature); err != nil {
		return &Error{Reason: decision.SignatureInvalid, Cause: err}
	}
	return nil
}
