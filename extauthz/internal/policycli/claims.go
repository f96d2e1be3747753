package policycli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/meshpass/meshpass/shared/identity"
)

// payload is what a token carries, by the names of docs/token.md.
type payload struct {
	Issuer    string         `json:"iss"`
	Audience  string         `json:"aud"`
	Subject   string         `json:"sub"`
	Txn       string         `json:"txn"`
	Scope     string         `json:"scope"`
	Requester string         `json:"req_wl"`
	Tctx      map[string]any `json:"tctx"`
	Rctx      map[string]any `json:"rctx"`
	Issued    any            `json:"iat"`
	Expires   any            `json:"exp"`
	NotBefore any            `json:"nbf"`
}

// ParseClaims reads a token's payload; nothing of it is verified, and its times
// are not looked at.
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
	return &identity.Claims{
		Issuer: p.Issuer, Audience: p.Audience, Subject: p.Subject, Txn: p.Txn, Scope: p.Scope, Requester: p.Requester,
		Tctx: normalizeMembers(p.Tctx), Rctx: normalizeMembers(p.Rctx),
	}, nil
}

func normalizeMembers(members map[string]any) map[string]any {
	for name, value := range members {
		members[name] = NormalizeNumbers(value)
	}
	return members
}

// NormalizeNumbers gives numbers of JSON the types that they have in a verified token: int64
// where they are whole, else float64.
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
