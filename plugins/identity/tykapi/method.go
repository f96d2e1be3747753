package tykapi

import (
	"errors"
	"regexp"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"
)

// Method is how an API authenticates its callers. It is in the token as tctx.auth.
type Method string

// The methods that identify a caller.
const (
	MethodKey    Method = "key"
	MethodJWT    Method = "jwt"
	MethodOIDC   Method = "oidc"
	MethodOAuth  Method = "oauth"
	MethodBasic  Method = "basic"
	MethodHMAC   Method = "hmac"
	MethodMTLS   Method = "mtls"
	MethodCustom Method = "custom"

	// MethodUnknown is every other method.
	MethodUnknown Method = ""
)

// methodOfBase has the values of base_identity_provided_by.
var methodOfBase = map[apidef.AuthTypeEnum]Method{
	apidef.AuthToken: MethodKey, apidef.JWTClaim: MethodJWT, apidef.OIDCUser: MethodOIDC, apidef.OAuthKey: MethodOAuth,
	apidef.BasicAuthUser: MethodBasic, apidef.HMACKey: MethodHMAC, apidef.CustomAuth: MethodCustom,
}

// methodOf reads from the definition which method provides the identity, or why no method can. The
// session itself does not show it: in an API with several methods, the session may come from one method and
// the claims from another.
func methodOf(d *apidef.APIDefinition) (Method, error) {
	enabled := enabledMethods(d)
	has := func(m Method) bool { return slices.Contains(enabled, m) }
	base := methodOfBase[d.BaseIdentityProvidedBy]
	switch {
	case d.UseKeylessAccess && d.UseMutualTLSAuth:
		return MethodMTLS, nil
	case d.UseKeylessAccess:
		return MethodUnknown, errors.New("the API is keyless")
	case d.ExternalOAuth.Enabled:
		return MethodUnknown, errors.New("external OAuth leaves nothing that identifies the caller: use JWT")
	case has(MethodJWT) && len(jwtSources(d)) == 0:
		return MethodUnknown, errors.New("without jwt_source, tokens are verified with the secret of a key that they name themselves: anyone who has such a key can claim any issuer")
	case has(MethodJWT) && has(MethodOIDC):
		return MethodUnknown, errors.New("JWT and OpenID Connect together: Tyk mixes the claims of both tokens")
	case len(enabled) == 0:
		return MethodKey, nil // Tyk falls back to its auth token
	case len(enabled) == 1:
		return enabled[0], nil
	case base == MethodUnknown || !has(base):
		return MethodUnknown, errors.New("several methods: base_identity_provided_by must name the one that identifies the caller")
	case has(MethodCustom) && base != MethodCustom && base != MethodKey:
		return MethodUnknown, errors.New("several methods: the session of an authentication plugin replaces that of base_identity_provided_by")
	}
	return base, nil
}

func enabledMethods(d *apidef.APIDefinition) []Method {
	var enabled []Method
	add := func(on bool, m Method) {
		if on {
			enabled = append(enabled, m)
		}
	}
	add(d.UseOauth2, MethodOAuth)
	add(d.UseBasicAuth && readsPasswords(d), MethodBasic)
	add(d.EnableSignatureChecking, MethodHMAC)
	add(d.EnableJWT, MethodJWT)
	add(d.UseOpenID, MethodOIDC)
	add((d.CustomPluginAuthEnabled || d.UseGoPluginAuth || d.EnableCoProcessAuth) && !d.CustomMiddleware.AuthCheck.Disabled, MethodCustom)
	add(d.UseStandardAuth, MethodKey)
	return enabled
}

// readsPasswords reports whether basic authentication works. Tyk drops it, and falls back to keys, if
// the expressions that find credentials in bodies do not compile.
func readsPasswords(d *apidef.APIDefinition) bool {
	if !d.BasicAuth.ExtractFromBody {
		return true
	}
	for _, expression := range []string{d.BasicAuth.BodyUserRegexp, d.BasicAuth.BodyPasswordRegexp} {
		if _, err := regexp.Compile(expression); err != nil || expression == "" {
			return false
		}
	}
	return true
}
