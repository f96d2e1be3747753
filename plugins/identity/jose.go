package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"

	"github.com/meshpass/meshpass/shared/decision"
)

// jwtSources are the keys that verify the API's tokens, as its own definition names
// them; none: each token names them itself. Later releases than 5.8 have a second
// field for that.
func jwtSources(d *apidef.APIDefinition) (sources []string) {
	if d.JWTSource != "" {
		sources = append(sources, plainSource(d.JWTSource))
	}
	var later struct {
		URIs []struct {
			URL string `json:"url"`
		} `json:"jwt_jwks_uris"`
	}
	if data, err := json.Marshal(d); err == nil && json.Unmarshal(data, &later) == nil {
		for _, uri := range later.URIs {
			sources = append(sources, plainSource(uri.URL))
		}
	}
	return sources
}

// plainSource reads a URL that is written in base64, as Tyk does.
func plainSource(source string) string {
	if text, err := base64.StdEncoding.DecodeString(source); err == nil && isWebURL(string(text)) {
		return string(text)
	}
	return source
}

// tokenIn is where Tyk looks for the caller's token.
func tokenIn(d *apidef.APIDefinition, m method) apidef.AuthConfig {
	name := apidef.OIDCType
	if m == methodJWT {
		name = apidef.JWTType
	}
	config, ok := d.AuthConfigs[name]
	if !ok && m == methodJWT {
		config = d.Auth
	}
	return config
}

// rawToken reads the caller's token where Tyk has found it: the last of header,
// query and cookie that has one.
func rawToken(c apidef.AuthConfig, r *http.Request) (raw string) {
	or := func(name, otherwise string) string {
		if name == "" {
			return otherwise
		}
		return name
	}
	name := "Authorization"
	if !c.DisableHeader {
		name = or(c.AuthHeaderName, name)
		raw = r.Header.Get(name)
	}
	if c.UseParam {
		raw = or(r.URL.Query().Get(or(c.ParamName, name)), raw)
	}
	if c.UseCookie {
		if cookie, err := r.Cookie(or(c.CookieName, name)); err == nil {
			raw = or(cookie.Value, raw)
		}
	}
	if scheme, token, ok := strings.Cut(raw, " "); ok && strings.EqualFold(scheme, "bearer") {
		raw = token
	}
	return raw
}

// callerToken is the caller's token as it was sent. Tyk hands over the claims that
// it has verified, with header fields among them and with numbers that have lost
// digits; here are the header itself and the digits.
type callerToken struct{ header, claims map[string]any }

func (t callerToken) claim(name string) any { return t.claims[name] }

// readCallerToken does not verify: nothing is believed that [idp.bind] has not
// found among the claims that Tyk has verified.
func readCallerToken(raw string) (t callerToken, err error) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return t, refuse(decision.ClaimsUnavailable, "the caller's token is not where the API's definition says")
	}
	if t.header, err = readPart(parts[0]); err != nil {
		return t, refuse(decision.ClaimsInvalid, "header of the caller's token: %w", err)
	}
	if t.claims, err = readPart(parts[1]); err != nil {
		return t, refuse(decision.ClaimsInvalid, "claims of the caller's token: %w", err)
	}
	return t, nil
}

// readPart gives numbers as [json.Number].
func readPart(part string) (members map[string]any, err error) {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return members, decoder.Decode(&members)
}

// bind refuses a token that is not the one that Tyk has verified, and one whose
// header has a field under a name that we would read as a claim, and whose claims
// have none: Tyk hands both over under one name, the claim before the field.
func (p *idp) bind(own callerToken, verified func(name string) any) error {
	reads := p.reads()
	for _, name := range append(reads, kindClaims...) {
		value, claimed := own.claims[name]
		field, inHeader := own.header[name]
		if inHeader && !claimed {
			if slices.Contains(reads, name) {
				return refuse(decision.ClaimsInvalid, "%s is a field of the header of the caller's token, not a claim", name)
			}
			value = field
		}
		if !sameJSON(value, verified(name)) {
			return refuse(decision.ClaimsUnbound, "claim %s of the caller's token is not what the gateway has verified", name)
		}
	}
	return nil
}

// sameJSON compares a value that has its digits with one that was read into Go's
// usual types.
func sameJSON(own, verified any) bool {
	switch own := own.(type) {
	case json.Number:
		if digits, ok := verified.(json.Number); ok {
			return own == digits
		}
		f, err := own.Float64()
		return err == nil && verified == f
	case []any:
		list, ok := verified.([]any)
		return ok && slices.EqualFunc(own, list, sameJSON)
	case map[string]any:
		object, ok := verified.(map[string]any)
		return ok && maps.EqualFunc(own, object, sameJSON)
	}
	switch verified.(type) {
	case []any, map[string]any: // Go cannot compare these
		return false
	}
	return own == verified
}
