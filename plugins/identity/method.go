package main

import "github.com/TykTechnologies/tyk/apidef"

// method is how an API authenticates its callers; the value stands in the token
// as tctx.auth.
type method string

const (
	methodKey  method = "key"
	methodJWT  method = "jwt"
	methodOIDC method = "oidc"

	// methodOther cannot be turned into an identity: another kind of session, or
	// several methods and no word on which of them says who the caller is.
	methodOther method = ""
)

// methodOf reads from the definition who provides the identity. The session
// itself does not tell: in an API with several methods it may come from one and
// the claims from another.
func methodOf(d *apidef.APIDefinition) method {
	enabled := enabledMethods(d)
	switch len(enabled) {
	case 0:
		return methodKey // Tyk falls back to its auth token
	case 1:
		return enabled[0]
	}
	switch d.BaseIdentityProvidedBy {
	case apidef.AuthToken:
		return methodKey
	case apidef.JWTClaim:
		return methodJWT
	case apidef.OIDCUser:
		return methodOIDC
	default:
		return methodOther
	}
}

func enabledMethods(d *apidef.APIDefinition) []method {
	var enabled []method
	add := func(on bool, m method) {
		if on {
			enabled = append(enabled, m)
		}
	}
	add(d.UseStandardAuth, methodKey)
	add(d.EnableJWT, methodJWT)
	add(d.UseOpenID, methodOIDC)
	add(d.UseOauth2 || d.ExternalOAuth.Enabled || d.UseBasicAuth || d.EnableSignatureChecking ||
		d.CustomPluginAuthEnabled || d.UseGoPluginAuth || d.EnableCoProcessAuth, methodOther)
	return enabled
}
