// Package tykapi reads Tyk's own facts of a request and of an API: the definition, the method that
// authenticates, the session, the caller's token, the targets, and the hooks that Tyk runs.
//
// Each fact about Tyk was measured on release 5.8, unless a comment names another one.
package tykapi

import (
	"context"
	"net/http"
	"sync"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
)

// Definition is the API definition of a request. [ProtectedAPIs] and [HookChecks] keep what they derive
// from it, because Tyk's getters clone the whole definition, while Source costs only a look-up.
type Definition struct {
	ID            string
	Source        any  // Tyk's own pointer; it changes only when Tyk reloads the API, so it serves as a cache key
	ByCertificate bool // the API asks for nothing but a certificate of its list; Tyk never calls SignIdentity there

	request   *http.Request       // for a clone of the definition
	extension *oas.XTykAPIGateway // of the OpenAPI form, Tyk's own copy; nil: the classic form
}

// DefinitionOf gives the definition that Tyk has put beside the request.
func DefinitionOf(r *http.Request) (Definition, error) {
	classic, _ := r.Context().Value(ctx.Definition).(*apidef.APIDefinition)
	open, _ := r.Context().Value(ctx.OASDefinition).(*oas.OAS)
	switch {
	case classic != nil && open != nil:
		return Definition{}, denial.New(decision.ConfigInvalid,
			"two API definitions after an internal loop: every API of the loop needs the pre hook StripIdentity")
	case classic != nil:
		return Definition{
			ID: classic.APIID, Source: classic,
			ByCertificate: classic.UseKeylessAccess && classic.UseMutualTLSAuth, request: r,
		}, nil
	case open != nil && open.GetTykExtension() != nil:
		tyk := open.GetTykExtension()
		keyless := tyk.Server.Authentication == nil || !tyk.Server.Authentication.Enabled
		certificates := tyk.Server.ClientCertificates != nil && tyk.Server.ClientCertificates.Enabled
		return Definition{
			ID: tyk.Info.ID, Source: open, ByCertificate: keyless && certificates, request: r, extension: tyk,
		}, nil
	}
	return Definition{}, denial.New(decision.ConfigInvalid, "the gateway gave no API definition")
}

func classicForm(o *oas.OAS) *apidef.APIDefinition {
	var d apidef.APIDefinition
	o.ExtractTo(&d)
	d.IsOAS = true
	return &d
}

// cloneClassic gives a clone of the definition in the classic form.
func (d Definition) cloneClassic() *apidef.APIDefinition {
	if d.extension == nil {
		return ctx.GetDefinition(d.request)
	}
	return classicForm(ctx.GetOASDefinition(d.request))
}

// ForgetDefinitions takes two forms off the request. In a loop from a classic to an OpenAPI
// definition, or back, Tyk sets only the form that the next API has, and leaves the other API's
// definition in the other form. Tyk sets the form of this API again before the next hook. One form
// alone is that of this API, so it stays: each value in the context makes every look-up slower.
func ForgetDefinitions(r *http.Request) {
	c := r.Context()
	if c.Value(ctx.Definition) == nil || c.Value(ctx.OASDefinition) == nil {
		return
	}
	c = context.WithValue(c, ctx.Definition, nil)
	*r = *r.WithContext(context.WithValue(c, ctx.OASDefinition, nil))
}

// derivedValues keeps, for each API, a value that was derived from its definition, for as long as Tyk uses
// the same definition. The zero value is empty.
type derivedValues[T any] struct {
	lock sync.RWMutex
	byID map[string]derivedValue[T]
}

type derivedValue[T any] struct {
	source any // see [Definition]
	value  T
}

// find gives the value of a definition. found is false if the definition is a new one.
func (v *derivedValues[T]) find(d Definition) (value T, found bool) {
	v.lock.RLock()
	defer v.lock.RUnlock()
	known, ok := v.byID[d.ID]
	return known.value, ok && known.source == d.Source
}

func (v *derivedValues[T]) keep(d Definition, value T) {
	v.lock.Lock()
	defer v.lock.Unlock()
	if v.byID == nil {
		v.byID = map[string]derivedValue[T]{}
	}
	v.byID[d.ID] = derivedValue[T]{source: d.Source, value: value}
}
