package main

import (
	"errors"
	"regexp"
	"slices"

	"github.com/TykTechnologies/tyk/apidef"
)

// method is how an API authenticates its callers; the value stands in the token
// as tctx.auth.
type method string

const (
	methodKey    method = "key"
	methodJWT    method = "jwt"
	methodOIDC   method = "oidc"
	methodOAuth  method = "oauth"
	methodBasic  method = "basic"
	methodHMAC   method = "hmac"
	methodMTLS   method = "mtls"
	methodCustom method = "custom"

	// methodOther cannot be turned into an identity.
	methodOther method = ""
)

// byBase are the values of base_identity_provided_by.
var byBase = map[apidef.AuthTypeEnum]method{
	apidef.AuthToken: methodKey, apidef.JWTClaim: methodJWT, apidef.OIDCUser: methodOIDC, apidef.OAuthKey: methodOAuth,
	apidef.BasicAuthUser: methodBasic, apidef.HMACKey: methodHMAC, apidef.CustomAuth: methodCustom,
}

// methodOf reads from the definition who provides the identity, or why nobody
// can. The session itself does not tell: in an API with several methods it may
// come from one and the claims from another.
func methodOf(d *apidef.APIDefinition) (method, error) {
	enabled := enabledMethods(d)
	has := func(m method) bool { return slices.Contains(enabled, m) }
	base := byBase[d.BaseIdentityProvidedBy]
	switch {
	case d.UseKeylessAccess && d.UseMutualTLSAuth:
		return methodMTLS, nil
	case d.UseKeylessAccess:
		return methodOther, errors.New("the API is keyless")
	case d.ExternalOAuth.Enabled:
		return methodOther, errors.New("external OAuth leaves nothing that tells who the caller is: use JWT")
	case has(methodJWT) && len(jwtSources(d)) == 0:
		return methodOther, errors.New("without jwt_source tokens are verified with the secret of a key that they name themselves: whoever has one can claim any issuer")
	case has(methodJWT) && has(methodOIDC):
		return methodOther, errors.New("JWT and OpenID Connect together: Tyk mixes the claims of both tokens")
	case len(enabled) == 0:
		return methodKey, nil // Tyk falls back to its auth token
	case len(enabled) == 1:
		return enabled[0], nil
	case base == methodOther || !has(base):
		return methodOther, errors.New("several methods: base_identity_provided_by must name the one that says who the caller is")
	case has(methodCustom) && base != methodCustom && base != methodKey:
		return methodOther, errors.New("several methods: the session of an authentication plugin replaces that of base_identity_provided_by")
	}
	return base, nil
}

func enabledMethods(d *apidef.APIDefinition) []method {
	var enabled []method
	add := func(on bool, m method) {
		if on {
			enabled = append(enabled, m)
		}
	}
	add(d.UseOauth2, methodOAuth)
	add(d.UseBasicAuth && readsPasswords(d), methodBasic)
	add(d.EnableSignatureChecking, methodHMAC)
	add(d.EnableJWT, methodJWT)
	add(d.UseOpenID, methodOIDC)
	add((d.CustomPluginAuthEnabled || d.UseGoPluginAuth || d.EnableCoProcessAuth) && !d.CustomMiddleware.AuthCheck.Disabled, methodCustom)
	add(d.UseStandardAuth, methodKey)
	return enabled
}

// readsPasswords: Tyk drops basic authentication, and falls back to keys, where
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
