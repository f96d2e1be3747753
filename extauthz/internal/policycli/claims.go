package policycli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/meshpass/meshpass/shared/identity"
)

// TokenClaims are the claims of a token that policies read, by the names of
// docs/token.md. A user writes them as JSON for `policy explain`, and as YAML in a case
// of `policy test`.
type TokenClaims struct {
	Issuer    string         `json:"iss" yaml:"iss"`
	Audience  string         `json:"aud" yaml:"aud"`
	Subject   string         `json:"sub" yaml:"sub"`
	Txn       string         `json:"txn" yaml:"txn"`
	Scope     string         `json:"scope" yaml:"scope"`
	Requester string         `json:"req_wl" yaml:"req_wl"`
	Tctx      map[string]any `json:"tctx" yaml:"tctx"`
	Rctx      map[string]any `json:"rctx" yaml:"rctx"`
}

// Identity returns the claims as the engine reads them.
func (c TokenClaims) Identity() *identity.Claims {
	return &identity.Claims{
		Issuer: c.Issuer, Audience: c.Audience, Subject: c.Subject, Txn: c.Txn, Scope: c.Scope, Requester: c.Requester,
		Tctx: c.Tctx, Rctx: c.Rctx,
	}
}

// payload is the payload of a token. No policy reads its times, so their values are not
// looked at.
type payload struct {
	TokenClaims
	Issued    any `json:"iat"`
	Expires   any `json:"exp"`
	NotBefore any `json:"nbf"`
}

// ParseClaims reads the payload of a token, which is a JSON object. It verifies nothing:
// the claims are as trustworthy as the text.
func ParseClaims(data []byte) (*identity.Claims, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	var p payload
	if err := decoder.Decode(&p); err != nil {
		return nil, fmt.Errorf("claims: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("claims: something follows the JSON object")
	}
	p.Tctx, p.Rctx = normalizeMembers(p.Tctx), normalizeMembers(p.Rctx)
	return p.Identity(), nil
}

// NormalizeNumbers gives numbers of JSON the types that they have in a verified token:
// int64 for whole numbers, else float64. It changes objects and lists in place.
func NormalizeNumbers(value any) any {
	switch value := value.(type) {
	case json.Number:
		if n, err := value.Int64(); err == nil {
			return n
		}
		f, _ := value.Float64() // out of range: infinite, and equal to no claim
		return f
	case map[string]any:
		return normalizeMembers(value)
	case []any:
		for i, v := range value {
			value[i] = NormalizeNumbers(v)
		}
	}
	return value
}

func normalizeMembers(members map[string]any) map[string]any {
	for name, value := range members {
		members[name] = NormalizeNumbers(value)
	}
	return members
}
