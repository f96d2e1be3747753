package identity

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
)

// MinSecret is the length of HMAC-SHA256's output, below which a key weakens it
// (RFC 2104 section 3).
const MinPseudonymKeyBytes = 32

// PseudonymKey keys the pseudonyms of session keys: whoever has it can name the session
// of a key that they know, and nobody gets from a pseudonym to a key.
type PseudonymKey []byte

// ParsePseudonymKey reads a secret file, without the newline that editors and `echo`
// leave at the end.
func ParsePseudonymKey(data []byte) (PseudonymKey, error) {
	if data = bytes.TrimRight(data, "\r\n"); len(data) < MinPseudonymKeyBytes {
		return nil, fmt.Errorf("%d bytes: want at least %d (openssl rand -base64 32)", len(data), MinPseudonymKeyBytes)
	}
	return PseudonymKey(data), nil
}

// Pseudonym names a session key without giving it away: HMAC-SHA256, base64url.
// It is the claim tctx.sid.
func (s PseudonymKey) Pseudonym(key string) string {
	mac := hmac.New(sha256.New, s)
	mac.Write([]byte(key))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
