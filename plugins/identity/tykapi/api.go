package tykapi

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// ProtectedAPI is what the plugin knows of one API, derived once from its definition and the plugin's file.
type ProtectedAPI struct {
	ID, Name, Org string
	Source        any // Tyk's own pointer to the definition, see [Definition]

	Method      Method
	Unsupported error // why no identity can be read for this method; nil: one can

	JWTSources  []string // the keys that verify callers' tokens, as the definition names them
	ContextVars bool     // Tyk gives the verified claims to the plugin
	callerJWT   callerJWT

	certificates []string // of clients, where nothing else is asked for
	copies       copies
	targets      targets

	UnsafeReentry error // why no call of an MCP proxy can be signed; nil: it can

	// The API's own settings; they only ever narrow the file's.
	OptionalIdentity bool
	Lifetime         time.Duration
	scopes           *[]string // nil: all
	claims           *[]string // nil: all
	audiences        *[]string // the caller's token must also be for one of these; nil: for any of its provider's
}

// newProtectedAPI derives an API from its definition and the file. With an error every request of the API is
// denied.
func newProtectedAPI(c *settings.Config, d *apidef.APIDefinition) (*ProtectedAPI, error) {
	own, err := readNarrowing(d)
	method, unsupported := methodOf(d)
	if err == nil {
		err = own.CheckWidening(c, d.APIID, method == MethodJWT || method == MethodOIDC)
	}
	if err != nil {
		return nil, denial.New(decision.ConfigInvalid, "API %s, config_data.meshpass: %w", d.APIID, err)
	}
	if err := checkGuardIsLast(d); err != nil {
		return nil, denial.New(decision.GuardMissing, "API %s, %w", d.APIID, err)
	}
	if fault := findHookFault(c, d); fault != nil {
		return nil, denial.New(fault.reason(), "API %s: %w", d.APIID, fault)
	}
	targets, err := targetsOf(d, c.UpstreamHosts)
	if err != nil {
		return nil, denial.New(decision.UpstreamRefused, "API %s: %w", d.APIID, err)
	}
	tokenType := apidef.OIDCType
	if method == MethodJWT {
		tokenType = apidef.JWTType
	}
	a := &ProtectedAPI{
		ID: d.APIID, Name: d.Name, Org: d.OrgID,
		Method: method, Unsupported: unsupported, certificates: certificatesOf(d), copies: copiesOf(d, c.Allow), targets: targets,
		callerJWT: callerJWTOf(d, tokenType), JWTSources: jwtSources(d), ContextVars: d.EnableContextVars,
		OptionalIdentity: own.Identity == "optional", Lifetime: c.Lifetime, scopes: own.Scopes, claims: own.Claims, audiences: own.Audiences,
	}
	if own.Lifetime != 0 {
		a.Lifetime = own.Lifetime
	}
	return a, nil
}

// certificatesOf are the ids of certificates that the API admits: the organisation and the
// fingerprint. The id of an authority, or of a file, names no client.
func certificatesOf(d *apidef.APIDefinition) []string {
	return append(slices.Clone(d.ClientCertificates), tykconfig.Global().Security.Certificates.API...)
}

// CheckCopies denies a request if Tyk would store a copy of it that the plugin's file does not permit.
func (a *ProtectedAPI) CheckCopies(session *user.SessionState, r *http.Request) error {
	return a.copies.checkPermitted(a.ID, session, r)
}

// FindDestination repeats Tyk's own decision where the request goes. An internal request goes through the
// chain of another API, which signs for itself. hosts are those that must be in upstreams.
func (a *ProtectedAPI) FindDestination(r *http.Request) (hosts []*url.URL, internal bool) {
	return a.targets.findDestination(r, ReentersChain(r))
}

// CallerToken gives the caller's token as it was sent, not verified; "": it is not at the place that the
// definition names.
func (a *ProtectedAPI) CallerToken(r *http.Request) (raw string) { return a.callerJWT.readToken(r) }

// SessionUser is the claim after which Tyk names the session; "": it is absent.
func (a *ProtectedAPI) SessionUser(claim func(string) any) string {
	return a.callerJWT.sessionUser(claim)
}

// NarrowIdentity removes the scopes and claims that this API does not pass on.
func (a *ProtectedAPI) NarrowIdentity(id identity.Identity) identity.Identity {
	if a.scopes != nil {
		id.Scopes = slices.DeleteFunc(id.Scopes, func(scope string) bool { return !slices.Contains(*a.scopes, scope) })
	}
	for name := range id.Claims {
		if a.claims != nil && !slices.Contains(*a.claims, name) {
			delete(id.Claims, name)
		}
	}
	return id
}

// AdmitsAudience reports whether the API's own settings admit a token for this audience.
func (a *ProtectedAPI) AdmitsAudience(audience string) bool {
	return a.audiences == nil || slices.Contains(*a.audiences, audience)
}

// ProtectedAPIs derives the APIs that one configuration protects, and keeps them.
type ProtectedAPIs struct {
	config *settings.Config
	log    *slog.Logger
	known  derivedValues[derivedAPI]
}

type derivedAPI struct {
	api *ProtectedAPI
	err error
}

// NewProtectedAPIs derives APIs by this configuration.
func NewProtectedAPIs(config *settings.Config, log *slog.Logger) *ProtectedAPIs {
	return &ProtectedAPIs{config: config, log: log}
}

// Find gives the API of the definition. A definition that is rejected stays rejected, and is logged once,
// until Tyk loads the API again.
func (c *ProtectedAPIs) Find(d Definition) (*ProtectedAPI, error) {
	derived, found := c.known.find(d)
	if !found {
		derived = c.deriveAPI(d)
		c.known.keep(d, derived)
	}
	return derived.api, derived.err
}

func (c *ProtectedAPIs) deriveAPI(d Definition) derivedAPI {
	definition := d.cloneClassic()
	api, err := newProtectedAPI(c.config, definition)
	if err != nil {
		c.log.Error("requests of this API are denied until its definition is fixed", "api", d.ID, "error", err.Error())
		return derivedAPI{err: err}
	}
	api.Source = d.Source
	api.UnsafeReentry = checkReentry(definition, d.extension)
	return derivedAPI{api: api}
}
