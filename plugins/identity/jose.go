package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
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

// refuseHeaderFields refuses a token whose JOSE header has a field under a name
// that we would read as a claim, and whose claims have none: Tyk hands both over
// under one name. The token was verified; this only ever refuses.
func (p *idp) refuseHeaderFields(raw string) error {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return refuse(decision.ClaimsUnavailable, "the caller's token is not where the API's definition says")
	}
	var header, claims map[string]json.RawMessage
	if err := readPart(parts[0], &header); err != nil {
		return refuse(decision.ClaimsInvalid, "header of the caller's token: %w", err)
	}
	if err := readPart(parts[1], &claims); err != nil {
		return refuse(decision.ClaimsInvalid, "claims of the caller's token: %w", err)
	}
	for _, name := range p.reads() {
		_, inHeader := header[name]
		if _, claimed := claims[name]; inHeader && !claimed {
			return refuse(decision.ClaimsInvalid, "%s is a field of the header of the caller's token, not a claim", name)
		}
	}
	return nil
}

func readPart(part string, into *map[string]json.RawMessage) error {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}
