package identity

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"sync"
)

// MinPseudonymKeyBytes is the least length of a [PseudonymKey]: the output of HMAC-SHA256
// has 32 bytes, and a shorter key weakens it (RFC 2104 section 3).
const MinPseudonymKeyBytes = 32

// PseudonymKey is the secret that turns session keys into pseudonyms. Its owner can compute
// the pseudonym of a session key. The session key cannot be computed from a pseudonym, with
// or without the secret.
type PseudonymKey []byte

// ParsePseudonymKey reads the content of a secret file, without the newlines at its end
// that editors and echo write. It returns an error for less than [MinPseudonymKeyBytes].
func ParsePseudonymKey(data []byte) (PseudonymKey, error) {
	if data = bytes.TrimRight(data, "\r\n"); len(data) < MinPseudonymKeyBytes {
		return nil, fmt.Errorf("%d bytes: want at least %d (openssl rand -base64 32)", len(data), MinPseudonymKeyBytes)
	}
	return PseudonymKey(data), nil
}

// Pseudonym returns the name of a session that does not give away its key: HMAC-SHA256 of
// the key in base64url. It is the claim tctx.sid.
func (k PseudonymKey) Pseudonym(sessionKey string) string {
	return NewPseudonyms(k).Pseudonym(sessionKey)
}

// Pseudonyms returns many pseudonyms with one key, which is prepared once. It may be used
// from many goroutines.
type Pseudonyms struct{ hashes sync.Pool }

// NewPseudonyms prepares the key.
func NewPseudonyms(k PseudonymKey) *Pseudonyms {
	return &Pseudonyms{sync.Pool{New: func() any { return &keyedHash{Hash: hmac.New(sha256.New, k)} }}}
}

type keyedHash struct {
	hash.Hash
	input []byte
	sum   [sha256.Size]byte
}

// Pseudonym is [PseudonymKey.Pseudonym].
func (p *Pseudonyms) Pseudonym(sessionKey string) string {
	mac := p.hashes.Get().(*keyedHash)
	defer p.hashes.Put(mac)
	mac.Reset()
	mac.input = append(mac.input[:0], sessionKey...)
	mac.Write(mac.input)
	clear(mac.input) // a session key is a secret
	return base64.RawURLEncoding.EncodeToString(mac.Sum(mac.sum[:0]))
}
