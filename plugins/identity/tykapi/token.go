package tykapi

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/internal/gateway/settings"
)

// jwtSources are the keys that verify the API's tokens, as its own definition names them; empty: each
// token names its own. Releases after 5.8 have a second field for them.
func jwtSources(d *apidef.APIDefinition) (sources []string) {
	if d.JWTSource != "" {
		sources = append(sources, settings.DecodeJWTSource(d.JWTSource))
	}
	var later struct {
		URIs []struct {
			URL string `json:"url"`
		} `json:"jwt_jwks_uris"`
	}
	if data, err := json.Marshal(d); err == nil && json.Unmarshal(data, &later) == nil {
		for _, uri := range later.URIs {
			sources = append(sources, settings.DecodeJWTSource(uri.URL))
		}
	}
	return sources
}

// callerJWT is how Tyk reads and uses the callers' tokens of an API.
type callerJWT struct {
	place     apidef.AuthConfig // where they are
	userClaim string            // after which Tyk names the session; empty: sub
}

// callerJWTOf reads the place of tokens of a type, [apidef.JWTType] or [apidef.OIDCType].
func callerJWTOf(d *apidef.APIDefinition, tokenType string) callerJWT {
	if tokenType != apidef.JWTType {
		return callerJWT{place: d.AuthConfigs[tokenType]}
	}
	place, ok := d.AuthConfigs[tokenType]
	if !ok {
		place = d.Auth
	}
	return callerJWT{place: place, userClaim: d.JWTIdentityBaseField}
}

// readToken reads the caller's token, not verified, where Tyk has found it: the last one of header, query and
// cookie that has one.
func (c callerJWT) readToken(r *http.Request) (raw string) {
	or := func(value, otherwise string) string {
		if value == "" {
			return otherwise
		}
		return value
	}
	place, name := c.place, "Authorization"
	if !place.DisableHeader {
		name = or(place.AuthHeaderName, name)
		raw = r.Header.Get(name)
	}
	if place.UseParam {
		raw = or(r.URL.Query().Get(or(place.ParamName, name)), raw)
	}
	if place.UseCookie {
		if cookie, err := r.Cookie(or(place.CookieName, name)); err == nil {
			raw = or(cookie.Value, raw)
		}
	}
	if scheme, token, ok := strings.Cut(raw, " "); ok && strings.EqualFold(scheme, "bearer") {
		raw = token
	}
	return raw
}

// VerifiedClaims reads claims of the JWT that Tyk has verified; nil: the claim is absent. Tyk gives
// fields of the JOSE header under the same names, so the configuration may not map those.
func VerifiedClaims(r *http.Request) func(name string) any {
	data, _ := r.Context().Value(ctx.ContextData).(map[string]any)
	return func(name string) any { return data["jwt_claims_"+name] }
}

// sessionUser is the claim after which Tyk names the session; "": it is absent.
func (c callerJWT) sessionUser(claim func(string) any) string {
	if c.userClaim != "" {
		if user, ok := claim(c.userClaim).(string); ok {
			return user
		}
	}
	user, _ := claim("sub").(string)
	return user
}
