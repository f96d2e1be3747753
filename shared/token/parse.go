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

// mediaType is the token's typ (draft section 9.1). RFC 8725bis takes the full
// media type as the same, and media types know no case.
const mediaType = "txntoken+jwt"

// A thumbprint has 43 characters; nothing longer is looked up.
const maxKeyID = 64

// strictBase64 refuses padding, foreign characters and trailing bits, so that
// bytes have one spelling (RFC 7515 section 2, RFC 4648 section 3.5).
var strictBase64 = base64.RawURLEncoding.Strict()

// parsed is a token taken apart, nothing of it trusted yet.
type parsed struct {
	signingInput, payload, signature []byte

	header, claims map[string]any
	algorithm, kid string
}

// parse applies the rules that need no key: 3 to 11, and 18.
func parse(raw string, maxBytes int) (*parsed, error) {
	p, err := parseJWS(raw, maxBytes)
	if err != nil {
		return nil, err
	}
	if p.claims, err = parsePart("claims", p.payload); err != nil {
		return nil, err
	}
	return p, p.checkProfile()
}

// parseJWS is the part of it that is the same for any payload and type: so it is
// what other people's test vectors can be run against.
func parseJWS(raw string, maxBytes int) (*parsed, error) {
	parts, err := split(raw, maxBytes)
	if err != nil {
		return nil, err
	}
	p := &parsed{signingInput: []byte(raw[:len(parts[0])+1+len(parts[1])])}
	var header []byte
	for i, into := range []*[]byte{&header, &p.payload, &p.signature} {
		if *into, err = strictBase64.DecodeString(parts[i]); err != nil {
			return nil, refuse(decision.TokenBase64, "part %d is not strict base64url", i+1)
		}
	}
	if p.header, err = parsePart("header", header); err != nil {
		return nil, err
	}
	p.algorithm, _ = p.header["alg"].(string)
	return p, p.refuseParameters()
}

// split looks at the text alone: size, characters, three parts.
func split(raw string, maxBytes int) ([]string, error) {
	if len(raw) > maxBytes {
		return nil, refuse(decision.TokenTooLarge, "%d bytes, at most %d", len(raw), maxBytes)
	}
	if raw == "" {
		return nil, refuse(decision.TokenMissing, "the header is empty")
	}
	if i := strings.IndexFunc(raw, foreign); i >= 0 {
		return nil, refuse(decision.TokenCharset, "a character outside A-Z a-z 0-9 - _ . at byte %d", i)
	}
	parts := strings.SplitN(raw, ".", 4)
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return nil, refuse(decision.TokenFormat, "not three parts with content")
	}
	return parts, nil
}

func foreign(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

func parsePart(what string, data []byte) (map[string]any, error) {
	object, err := strictjson.Object(data)
	switch {
	case errors.Is(err, strictjson.ErrTooDeep):
		return nil, refuse(decision.TokenTooDeep, "%s: %w", what, err)
	case err != nil:
		return nil, refuse(decision.TokenJSON, "%s: %w", what, err)
	}
	return object, nil
}

// refusedParameters are header parameters whose presence alone refuses a token:
// they change how it is to be read, or name a key from outside.
var refusedParameters = []struct {
	name   string
	reason decision.Reason
}{
	{"crit", decision.HeaderCritical}, {"b64", decision.HeaderCritical}, {"zip", decision.HeaderCritical},
	{"jku", decision.HeaderKeySource}, {"jwk", decision.HeaderKeySource},
	{"x5u", decision.HeaderKeySource}, {"x5c", decision.HeaderKeySource},
	{"x5t", decision.HeaderKeySource}, {"x5t#S256", decision.HeaderKeySource},
	{"cty", decision.HeaderNested},
}

// admittedParameters are those that we sign with. The set is closed: a reader that
// knows another one, of JWE for example, would read the token in another way.
var admittedParameters = []string{"alg", "kid", "typ"}

func (p *parsed) refuseParameters() error {
	for _, refused := range refusedParameters {
		if _, present := p.header[refused.name]; present {
			return refuse(refused.reason, "header parameter %s", refused.name)
		}
	}
	for name := range p.header {
		if !slices.Contains(admittedParameters, name) {
			return refuse(decision.HeaderUnexpected, "a header parameter besides alg, kid and typ")
		}
	}
	return nil
}

// checkProfile applies what is asked of a Transaction Token in particular.
func (p *parsed) checkProfile() error {
	if typ, _ := p.header["typ"].(string); !isMediaType(typ) {
		return refuse(decision.TypeMismatch, "typ is not %s", mediaType)
	}
	if banned(p.algorithm) {
		return refuse(decision.AlgorithmBanned, "alg is none or a symmetric algorithm")
	}
	p.kid, _ = p.header["kid"].(string)
	if p.kid == "" || len(p.kid) > maxKeyID {
		return refuse(decision.KeyIDMissing, "kid is no text, absent, or longer than %d", maxKeyID)
	}
	return nil
}

// isMediaType folds ASCII letters only: Unicode has others that fold into them,
// such as the Kelvin sign.
func isMediaType(typ string) bool {
	ascii := !strings.ContainsFunc(typ, func(r rune) bool { return r > unicode.MaxASCII })
	return ascii && strings.TrimPrefix(strings.ToLower(typ), "application/") == mediaType
}

// banned tells an attack from a mistake. In other letters such an algorithm is
// unknown and would be refused all the same (rule 1), and it is as hostile.
func banned(algorithm string) bool {
	name := strings.ToUpper(algorithm)
	return name == "NONE" || strings.HasPrefix(name, "HS")
}
