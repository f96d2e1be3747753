package token

import (
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// maxDate is the last second of the year 9999. RFC 3339, the form of times in logs,
// ends there, and time.Unix wraps around far beyond it.
const maxDate = 253402300799

// tokenTimes are the NumericDates of a token (RFC 7519 section 2), in whole seconds.
type tokenTimes struct {
	issued, expires int64
	notBefore       int64 // 0: absent
}

// readTimes requires positive integers: some readers take 0 as "never" (14).
func readTimes(p *parsed) (tokenTimes, error) {
	t := tokenTimes{}
	var ok bool
	if t.issued, ok = p.claim("iat").Integer(); !ok || t.issued <= 0 {
		return t, newError(decision.TimeInvalid, "iat is not a positive integer")
	}
	if t.expires, ok = p.claim("exp").Integer(); !ok || t.expires <= t.issued || t.expires > maxDate {
		return t, newError(decision.TimeInvalid, "exp is not an integer after iat and before the year 10000")
	}
	if nbf := p.claim("nbf"); nbf.IsPresent() {
		if t.notBefore, ok = nbf.Integer(); !ok || t.notBefore <= 0 || t.notBefore > t.expires {
			return t, newError(decision.TimeInvalid, "nbf is not a positive integer up to exp")
		}
	}
	return t, nil
}

// check compares the times with the clock, and with the longest lifetime and the leeway
// of the issuer (14).
func (t tokenTimes) check(now time.Time, trust Trust) error {
	if life := t.expires - t.issued; life > int64(trust.MaxLifetime/time.Second) {
		return newError(decision.LifetimeTooLong, "lives %d s, at most %v", life, trust.MaxLifetime)
	}
	if !now.Before(time.Unix(t.expires, 0).Add(trust.Leeway)) {
		return newError(decision.TokenExpired, "expired at %s", formatSeconds(t.expires))
	}
	earliest := now.Add(trust.Leeway)
	if earliest.Before(time.Unix(t.issued, 0)) || earliest.Before(time.Unix(t.notBefore, 0)) {
		return newError(decision.TokenNotYetValid, "issued at %s, not before %s", formatSeconds(t.issued), formatSeconds(t.notBefore))
	}
	return nil
}

func formatSeconds(unix int64) string { return time.Unix(unix, 0).UTC().Format(time.RFC3339) }
