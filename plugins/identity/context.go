package main

import (
	"context"
	"net/http"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
)

// definition gives the API's definition in its classic form, and the address of
// Tyk's own copy: that stays the same until the API is loaded anew.
//
// Tyk's getters clone the whole definition, so they are used only when what we
// derived from it is not at hand; source costs a look-up.
type definition struct {
	id            string
	source        any
	byCertificate bool // nothing but a certificate of the API's list is asked for; Tyk never calls [SignIdentity]
	read          func() *apidef.APIDefinition
	extension     *oas.XTykAPIGateway // of the OpenAPI form, Tyk's own copy; nil: the classic form
}

func definitionOf(r *http.Request) (definition, error) {
	classic, _ := r.Context().Value(ctx.Definition).(*apidef.APIDefinition)
	open, _ := r.Context().Value(ctx.OASDefinition).(*oas.OAS)
	switch {
	case classic != nil && open != nil:
		return definition{}, refuse(decision.ConfigInvalid,
			"two API definitions after an internal loop: every API of the loop needs the pre hook StripIdentity")
	case classic != nil:
		return definition{classic.APIID, classic, classic.UseKeylessAccess && classic.UseMutualTLSAuth, func() *apidef.APIDefinition { return ctx.GetDefinition(r) }, nil}, nil
	case open != nil && open.GetTykExtension() != nil:
		tyk := open.GetTykExtension()
		keyless := tyk.Server.Authentication == nil || !tyk.Server.Authentication.Enabled
		certificates := tyk.Server.ClientCertificates != nil && tyk.Server.ClientCertificates.Enabled
		return definition{tyk.Info.ID, open, keyless && certificates, func() *apidef.APIDefinition { return asClassic(ctx.GetOASDefinition(r)) }, tyk}, nil
	}
	return definition{}, refuse(decision.ConfigInvalid, "the gateway gave no API definition")
}

func asClassic(o *oas.OAS) *apidef.APIDefinition {
	var d apidef.APIDefinition
	o.ExtractTo(&d)
	return &d
}

// forgetDefinitions is for the loop from a classic to an OpenAPI definition, or
// back: Tyk sets only the kind that the API has, and leaves the other API's. It
// sets it again before the next hook.
func forgetDefinitions(r *http.Request) {
	c := context.WithValue(r.Context(), ctx.Definition, nil)
	*r = *r.WithContext(context.WithValue(c, ctx.OASDefinition, nil))
}

// sessionOf is nil when nobody was authenticated for this endpoint. Tyk sets the
// status only for ignored endpoints, and in an internal loop such a request may
// still carry the session of the API before.
func (a *api) sessionOf(r *http.Request) (*user.SessionState, error) {
	switch {
	case r.Context().Value(ctx.RequestStatus) != nil:
		return nil, nil
	case a.method == methodMTLS:
		return a.ofCertificate(r)
	}
	return ctx.GetSession(r), nil
}

// verifiedClaim reads a claim of the JWT that Tyk has verified; nil: absent. A
// field of the JOSE header would answer to its name too, which is why the
// configuration may not map those.
func verifiedClaim(r *http.Request) func(name string) any {
	data, _ := r.Context().Value(ctx.ContextData).(map[string]any)
	return func(name string) any { return data["jwt_claims_"+name] }
}
