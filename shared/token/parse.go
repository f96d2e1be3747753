package token

import (
	"encoding/base64"
	"strings"

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
	signingInput   []byte
	signature      []byte
	header, claims map[string]any
	algorithm, kid string
}

// parse applies the rules that need no key: 4 to 11, and 18.
func parse(raw string, maxBytes int) (*parsed, error) {
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
	p := &parsed{signingInput: []byte(raw[:len(parts[0])+1+len(parts[1])])}
	return p, p.decode(parts)
}

func foreign(r rune) bool {
	return !('A' <= r && r <= 'Z' || 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
}

func (p *parsed) decode(parts []string) (err error) {
	if p.header, err = decodeObject("header", parts[0]); err != nil {
		return err
	}
	if p.claims, err = decodeObject("claims", parts[1]); err != nil {
		return err
	}
	if p.signature, err = strictBase64.DecodeString(parts[2]); err != nil {
		return refuse(decision.TokenBase64, "signature: not strict base64url")
	}
	return p.checkHeader()
}

func decodeObject(what, part string) (map[string]any, error) {
	data, err := strictBase64.DecodeString(part)
	if err != nil {
		return nil, refuse(decision.TokenBase64, "%s: not strict base64url", what)
	}
	object, err := parseObject(data)
	if err != nil {
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
	{"cty", decision.HeaderNested},
}

func (p *parsed) checkHeader() error {
	for _, refused := range refusedParameters {
		if _, present := p.header[refused.name]; present {
			return refuse(refused.reason, "header parameter %s", refused.name)
		}
	}
	typ, _ := p.header["typ"].(string)
	if typ = strings.ToLower(typ); strings.TrimPrefix(typ, "application/") != mediaType {
		return refuse(decision.TypeMismatch, "typ is not %s", mediaType)
	}
	p.algorithm, _ = p.header["alg"].(string)
	p.kid, _ = p.header["kid"].(string)
	if p.kid == "" || len(p.kid) > maxKeyID {
		return refuse(decision.KeyIDMissing, "kid is absent or longer than %d", maxKeyID)
	}
	return nil
}
