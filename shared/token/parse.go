package token

import (
	"encoding/base64"
	"errors"
	"slices"
	"strings"
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

// parsed is a decoded token. Nothing of it is trusted yet.
type parsed struct {
	signingInput, signature []byte

	header, claims map[string]any
	payload        []byte // the claims as they are written
	algorithm, kid string
}

// parse splits and decodes a token, by the rules that need neither key nor issuer: size
// and depth (18), characters (5), parts (4), base64url (6), JSON (7), header parameters
// (8, 9, 4, 26), type (11), banned algorithms (3), and that there is a kid (10).
func parse(raw string, maxBytes int) (*parsed, error) {
	p, err := parseJWS(raw, maxBytes)
	if err != nil {
		return nil, err
	}
	return p, p.checkTransactionToken()
}

// parseJWS applies those rules of [parse] that hold for any payload and type, so that
// the test vectors of others can be run against it.
func parseJWS(raw string, maxBytes int) (*parsed, error) {
	parts, err := splitParts(raw, 3, maxBytes)
	if err != nil {
		return nil, err
	}
	return decodeParts(raw[:len(parts[0])+1+len(parts[1])], parts)
}

// parseUnsigned is [parse] for a signing input, which has no signature. It is for
// [Minter.readUnsigned] alone.
func parseUnsigned(input string, maxBytes int) (*parsed, error) {
	parts, err := splitParts(input, 2, maxBytes)
	if err != nil {
		return nil, err
	}
	p, err := decodeParts(input, parts)
	if err != nil {
		return nil, err
	}
	return p, p.checkTransactionToken()
}

// splitParts looks at the text alone: its size (18), its characters (5) and the number
// of its parts (4).
func splitParts(raw string, count, maxBytes int) ([]string, error) {
	if err := checkSize(len(raw), maxBytes); err != nil {
		return nil, err
	}
	if raw == "" {
		return nil, newError(decision.TokenMissing, "the header is empty")
	}
	if i := strings.IndexFunc(raw, isNotTokenCharacter); i >= 0 {
		return nil, newError(decision.TokenCharset, "a character outside A-Z a-z 0-9 - _ . at byte %d", i)
	}
	parts := strings.SplitN(raw, ".", count+1)
	if len(parts) != count || slices.Contains(parts, "") {
		return nil, newError(decision.TokenFormat, "not three parts with content")
	}
	return parts, nil
}

func checkSize(bytes, maxBytes int) error {
	if bytes > maxBytes {
		return newError(decision.TokenTooLarge, "%d bytes, at most %d", bytes, maxBytes)
	}
	return nil
}

func isNotTokenCharacter(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

// decodeParts reads header, claims and, if it is among the parts, the signature.
func decodeParts(signingInput string, parts []string) (*parsed, error) {
	var decoded [3][]byte
	for i, part := range parts {
		var err error
		if decoded[i], err = strictBase64.DecodeString(part); err != nil {
			return nil, newError(decision.TokenBase64, "part %d is not strict base64url", i+1)
		}
	}
	p := &parsed{signingInput: []byte(signingInput), payload: decoded[1], signature: decoded[2]}
	var err error
	if p.header, err = readJSON("header", decoded[0]); err != nil {
		return nil, err
	}
	p.algorithm, _ = p.header["alg"].(string)
	return p, p.checkHeader()
}

// readJSON reads a part that is an object, by strict rules (7, 18).
func readJSON(part string, data []byte) (map[string]any, error) {
	object, err := strictjson.ParseObject(data)
	switch {
	case errors.Is(err, strictjson.ErrTooDeep):
		return nil, newError(decision.TokenTooDeep, "%s: %w", part, err)
	case err != nil:
		return nil, newError(decision.TokenJSON, "%s: %w", part, err)
	}
	return object, nil
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
	for _, banned := range bannedParameters {
		if _, present := p.header[banned.name]; present {
			return newError(banned.reason, "header parameter %s", banned.name)
		}
	}
	for name := range p.header {
		if !slices.Contains(allowedParameters, name) {
			return newError(decision.HeaderUnexpected, "a header parameter besides alg, kid and typ")
		}
	}
	return nil
}

// checkTransactionToken reads the claims (7), and checks the type (11), the algorithm (3)
// and the key id (10) of our own kind of token.
func (p *parsed) checkTransactionToken() (err error) {
	if p.claims, err = readJSON("claims", p.payload); err != nil {
		return err
	}
	if typ, _ := p.header["typ"].(string); !isMediaType(typ) {
		return newError(decision.TypeMismatch, "typ is not %s", mediaType)
	}
	if isBannedAlgorithm(p.algorithm) {
		return newError(decision.AlgorithmBanned, "alg is none or a symmetric algorithm")
	}
	p.kid, _ = p.header["kid"].(string)
	if p.kid == "" || len(p.kid) > maxKeyID {
		return newError(decision.KeyIDMissing, "kid is absent, no text, or longer than %d bytes", maxKeyID)
	}
	return nil
}

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
