package token

import (
	"time"

	"github.com/meshpass/meshpass/shared/decision"
)

// maxDate is the last second of the year 9999: RFC 3339, in which people and logs
// read times, ends there, and far beyond it time.Unix wraps around.
const maxDate = 253402300799

// times are a token's NumericDates in whole seconds (RFC 7519 section 2).
type times struct{ issued, expires, notBefore int64 }

// readTimes insists on positive integers: to some readers 0 means "never".
func readTimes(claims map[string]any) (times, error) {
	t := times{}
	var ok bool
	if t.issued, ok = claims["iat"].(int64); !ok || t.issued <= 0 {
		return t, refuse(decision.TimeInvalid, "iat is not a positive integer")
	}
	if t.expires, ok = claims["exp"].(int64); !ok || t.expires <= t.issued || t.expires > maxDate {
		return t, refuse(decision.TimeInvalid, "exp is not an integer after iat and before the year 10000")
	}
	if nbf, present := claims["nbf"]; present {
		if t.notBefore, ok = nbf.(int64); !ok || t.notBefore <= 0 || t.notBefore > t.expires {
			return t, refuse(decision.TimeInvalid, "nbf is not a positive integer up to exp")
		}
	}
	return t, nil
}

func (t times) check(now time.Time, trust Trust) error {
	if life := t.expires - t.issued; life > int64(trust.MaxLifetime/time.Second) {
		return refuse(decision.LifetimeTooLong, "lives %d s, at most %v", life, trust.MaxLifetime)
	}
	if !now.Before(time.Unix(t.expires, 0).Add(trust.Leeway)) {
		return refuse(decision.TokenExpired, "expired at %s", stamp(t.expires))
	}
	earliest := now.Add(trust.Leeway)
	if earliest.Before(time.Unix(t.issued, 0)) || earliest.Before(time.Unix(t.notBefore, 0)) {
		return refuse(decision.TokenNotYetValid, "issued at %s, not before %s", stamp(t.issued), stamp(t.notBefore))
	}
	return nil
}

func stamp(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.RFC3339) }
