// Package tokentools is `meshpass token`: it mints a token for a test, shows what
// one says, and tells which rule refuses one.
//
// No token is ever in an error or in what inspect and verify print: header and
// claims are, the signature is not, so that what is pasted into a ticket cannot be
// used. What is printed comes from strangers: characters that a terminal would
// obey are escaped.
package tokentools

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrNo says that the answer is no: not a token, or not with these keys.
var ErrNoToken = errors.New("no")

// maxInput is more than any token that a header can carry.
const maxInput = 1 << 20

// ReadToken takes a token from a file or pipe. The line break that an editor or echo
// leaves at its end is no part of it; anything else is.
func ReadToken(from io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxInput {
		return "", fmt.Errorf("more than %d bytes of input", maxInput)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
}
