package token

import (
	"errors"
	"fmt"

	"github.com/meshpass/meshpass/shared/decision"
)

// Error is the error of [Verifier.Verify] and [Minter.Mint]. Neither reason nor cause
// holds a part of the token.
type Error struct {
	Reason decision.Reason // for the client, the audit record and the metrics
	Cause  error           // for the log of the server alone; may be nil
	Outage bool            // see [IsOutage]
}

// Error returns the reason, and the cause if there is one.
func (e *Error) Error() string {
	if e.Cause == nil {
		return string(e.Reason)
	}
	return fmt.Sprintf("%s: %v", e.Reason, e.Cause)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// ReasonOf returns the reason of an error of this package. For any other error it is
// [decision.Panic], which denies: something failed that must not fail.
func ReasonOf(err error) decision.Reason {
	var invalid *Error
	if errors.As(err, &invalid) {
		return invalid.Reason
	}
	return decision.Panic
}

// IsOutage reports whether the error of [Verifier.Verify] is an outage. No requester
// and no partner can cause one. There are two cases:
//
//   - the token names a home issuer, and no home issuer has a usable key
//   - the token is verified, and the revocations are too old
func IsOutage(err error) bool {
	var invalid *Error
	return errors.As(err, &invalid) && invalid.Outage
}

func newError(r decision.Reason, format string, args ...any) error {
	return &Error{Reason: r, Cause: fmt.Errorf(format, args...)}
}
