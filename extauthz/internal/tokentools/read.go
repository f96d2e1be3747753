// Package tokentools is `meshpass token`: it mints a token for a test, shows the
// content of a token, and names the rule that rejects it.
//
// A whole token is never in an error, or in the output of inspect and verify. These print
// header and claims without the signature, so that a token in a ticket cannot be used. The
// output can come from an attacker, so terminal control characters are escaped.
package tokentools

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNoToken is the error of a text that is not a token, and of keys that must not mint one.
var ErrNoToken = errors.New("no token")

// maxInputBytes is more than the longest token that a header can carry.
const maxInputBytes = 1 << 20

// ReadToken reads a token from a file or pipe. It removes one line break at the end, which
// editors and echo add, and nothing else.
func ReadToken(from io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxInputBytes+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxInputBytes {
		return "", fmt.Errorf("more than %d bytes of input", maxInputBytes)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
