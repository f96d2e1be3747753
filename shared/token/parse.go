package token

import (
	"encoding/base64"
	"errors"
	"strings"
	"sync"
	"unicode"

	"github.com/meshpass/meshpass/internal/strictjson"
	"github.com/meshpass/meshpass/shared/decision"
)

// mediaType is the token's typ (draft section 9.1). By RFC 8725bis the full media type,
// with application/ in front, is the same. Media types ignore case.
const mediaType = "txntoken+jwt"

// maxKeyID is above the 43 characters of a thumbprint. Nothing longer is looked up.
const maxKeyID = 64

// strictBase64 rejects padding, characters of other alphabets and trailing bits, so that
// bytes have one spelling (RFC 7515 section 2, RFC 4648 section 3.5).
var strictBase64 = base64.RawURLEncoding.Strict()

// parsed is a decoded token. Nothing of it is trusted yet. Its memory is used again for
// another token after [parsed.release]. Texts, and maps that were made of its members, stay
// valid: a string is never written to.
type parsed struct {
	signingInput, signature []byte

	header, claims strictjson.Document
	payload        string // the claims as they are written
	algorithm, kid string

	text    []byte // the token
	decoded []byte // header, claims and signature, one after the other
}

// parsedPool keeps the memory of tokens that are not read any more.
var parsedPool = sync.Pool{New: func() any { return &parsed{decoded: make([]byte, 0, 1024)} }}

// maxPooledNodes is the most JSON values for which memory is kept. A usual token has 30.
const maxPooledNodes = 256

// maxPooledBytes is the most memory of one text that is kept. A token has at most [MaxBytes].
const maxPooledBytes = 4 * MaxBytes

// release gives the memory of p back. It erases the token, which is a bearer.
func (p *parsed) release() {
	p.text, p.decoded = eraseText(p.text), eraseText(p.decoded)
	p.header.Clear(maxPooledNodes)
	p.claims.Clear(maxPooledNodes)
	p.signingInput, p.signature = nil, nil
	p.payload, p.algorithm, p.kid = "", "", ""
	parsedPool.Put(p)
}

func eraseText(text []byte) []byte {
	if cap(text) > maxPooledBytes {
		return nil
	}
	clear(text)
	return text
}

// parse splits and decodes a token, by the rules that need neither key nor issuer: size
// and depth (18), characters (5), parts (4), base64url (6), JSON (7), header parameters
// (8, 9, 4, 26), type (11), banned algorithms (3), and that there is a kid (10). The caller
// releases the token.
func parse(raw string, maxBytes int) (*parsed, error) {
	p, err := parseJWS(raw, maxBytes)
	if err != nil {
		return nil, err
	}
	return p.checkTransactionToken()
}

// parseJWS applies those rules of [parse] that hold for any payload and type, so that
// the test vectors of others can be run against it.
func parseJWS(raw string, maxBytes int) (*parsed, error) {
	ends, err := splitParts(raw, maxBytes)
	if err != nil {
		return nil, err
	}
	p := parsedPool.Get().(*parsed)
	if err := p.decodeParts(raw, ends); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// splitParts looks at the text alone: its size (18), its characters (5) and the number
// of its parts (4). It returns where each part ends.
func splitParts(raw string, maxBytes int) (ends [3]int, err error) {
	if err := checkSize(len(raw), maxBytes); err != nil {
		return ends, err
	}
	if raw == "" {
		return ends, newError(decision.TokenMissing, "the header is empty")
	}
	parts, start, empty := 0, 0, false
	for i := 0; i <= len(raw); i++ {
		if i < len(raw) && raw[i] != '.' {
			if !tokenCharacters[raw[i]] {
				return ends, newError(decision.TokenCharset, "a character outside A-Z a-z 0-9 - _ . at byte %d", i)
			}
			continue
		}
		if parts < len(ends) {
			ends[parts] = i
		}
		empty = empty || i == start
		parts, start = parts+1, i+1
	}
	if parts != len(ends) || empty {
		return ends, newError(decision.TokenFormat, "not three parts with content")
	}
	return ends, nil
}

func checkSize(bytes, maxBytes int) error {
	if bytes > maxBytes {
		return newError(decision.TokenTooLarge, "%d bytes, at most %d", bytes, maxBytes)
	}
	return nil
}

// tokenCharacters are those of the parts of a token (5).
var tokenCharacters = func() (allowed [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") {
		allowed[c] = true
	}
	return allowed
}()

// decodeParts decodes the parts of raw, and reads the header.
func (p *parsed) decodeParts(raw string, ends [3]int) error {
	p.text, p.decoded = append(p.text[:0], raw...), p.decoded[:0]
	start := 0
	var decodedEnds [3]int
	for i, end := range ends {
		var err error
		if p.decoded, err = strictBase64.AppendDecode(p.decoded, p.text[start:end]); err != nil {
			return newError(decision.TokenBase64, "part %d is not strict base64url", i+1)
		}
		start, decodedEnds[i] = end+1, len(p.decoded)
	}
	header, payload := decodedEnds[0], decodedEnds[1]
	text := string(p.decoded[:payload]) // holds every text of the claims
	p.signingInput, p.payload, p.signature = p.text[:ends[1]], text[header:], p.decoded[payload:]
	if err := readJSON("header", text[:header], &p.header); err != nil {
		return err
	}
	p.algorithm, _ = p.header.Root().Member("alg").Text()
	return p.checkHeader()
}

// readJSON reads a part that is an object, by strict rules (7, 18).
func readJSON(part, text string, into *strictjson.Document) error {
	err := into.Parse(text)
	switch {
	case errors.Is(err, strictjson.ErrTooDeep):
		return newError(decision.TokenTooDeep, "%s: %w", part, err)
	case err != nil:
		return newError(decision.TokenJSON, "%s: %w", part, err)
	}
	return nil
}

// bannedParameters are header parameters whose presence alone makes a token invalid:
// they change how it is to be read, or name a key from outside.
var bannedParameters = []struct {
	name   string
	reason decision.Reason
}{
	{"crit", decision.HeaderCritical}, {"b64", decision.HeaderCritical}, {"zip", decision.HeaderCritical},
	{"jku", decision.HeaderKeySource}, {"jwk", decision.HeaderKeySource},
	{"x5u", decision.HeaderKeySource}, {"x5c", decision.HeaderKeySource},
	{"x5t", decision.HeaderKeySource}, {"x5t#S256", decision.HeaderKeySource},
	{"cty", decision.HeaderNested},
}

// allowedParameters are those that we sign with. The list is closed (26): a reader that
// knows another parameter, of JWE for example, would read the token in another way.
var allowedParameters = []string{"alg", "kid", "typ"}

// checkHeader rejects every header parameter that is not allowed (8, 9, 4, 26).
func (p *parsed) checkHeader() error {
	header := p.header.Root()
	if header.HasOnlyMembers(allowedParameters...) {
		return nil
	}
	for _, banned := range bannedParameters {
		if header.Member(banned.name).IsPresent() {
			return newError(banned.reason, "header parameter %s", banned.name)
		}
	}
	return newError(decision.HeaderUnexpected, "a header parameter besides alg, kid and typ")
}

// checkTransactionToken applies the rules of our own kind of token. It releases a token
// that fails one.
func (p *parsed) checkTransactionToken() (*parsed, error) {
	if err := p.readTransactionToken(); err != nil {
		p.release()
		return nil, err
	}
	return p, nil
}

// readTransactionToken reads the claims (7), and checks the type (11), the algorithm (3)
// and the key id (10).
func (p *parsed) readTransactionToken() error {
	if err := readJSON("claims", p.payload, &p.claims); err != nil {
		return err
	}
	if typ, _ := p.header.Root().Member("typ").Text(); !isMediaType(typ) {
		return newError(decision.TypeMismatch, "typ is not %s", mediaType)
	}
	if isBannedAlgorithm(p.algorithm) {
		return newError(decision.AlgorithmBanned, "alg is none or a symmetric algorithm")
	}
	p.kid, _ = p.header.Root().Member("kid").Text()
	if p.kid == "" || len(p.kid) > maxKeyID {
		return newError(decision.KeyIDMissing, "kid is absent, no text, or longer than %d bytes", maxKeyID)
	}
	return nil
}

// claim returns a claim as the token has it.
func (p *parsed) claim(name string) strictjson.Value { return p.claims.Root().Member(name) }

// isMediaType ignores case of ASCII letters only: other letters of Unicode, such as the
// Kelvin sign, also fold into them.
func isMediaType(typ string) bool {
	ascii := !strings.ContainsFunc(typ, func(r rune) bool { return r > unicode.MaxASCII })
	return ascii && strings.TrimPrefix(strings.ToLower(typ), "application/") == mediaType
}

// isBannedAlgorithm gives attacks a reason of their own. It ignores case: in other
// letters such an algorithm is no less hostile, although it would also be unknown (1).
func isBannedAlgorithm(algorithm string) bool {
	name := strings.ToUpper(algorithm)
	return name == "NONE" || strings.HasPrefix(name, "HS")
}
