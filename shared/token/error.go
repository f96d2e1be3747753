package token

import (
	"errors"
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
)

// Error is a refusal: the reason is for everybody, the cause for our own log
// only. Neither ever holds a part of the token.
type Error struct {
	Reason decision.Reason
	Cause  error
	Outage bool // nobody can judge the token now, and no requester or partner is the cause
}

func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Cause)
}

func (e *Error) Unwrap() error { return e.Cause }

// ReasonOf gives the reason of an error of this package. Any other error means
// that something broke here, and is refused as such.
func ReasonOf(err error) decision.Reason {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal.Reason
	}
	return decision.Panic
}

// IsOutage reports whether the error of [Verifier.Verify] is an outage: the token is in
// the name of a home issuer and no home issuer has keys, or the token is verified
// and the revocations are stale.
func IsOutage(err error) bool {
	var refusal *Error
	return errors.As(err, &refusal) && refusal.Outage
}

func refuse(r decision.Reason, format string, args ...any) error {
	return &Error{Reason: r, Cause: fmt.Errorf(format, args...)}
}
