package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
)

// call is one request as Tyk gives it to a hook.
type call struct {
	api     apidef.APIDefinition
	session *user.SessionState
	claims  map[string]any

	joseFields   []string            // which of the claims are fields of the token's header
	claimed      []string            // fields of a header that are claims here
	certificates []*x509.Certificate // of the client's connection

	header  http.Header
	ignored bool // an endpoint without authentication
}

func keyCall() *call {
	return &call{
		api: withHooksAndTarget(apidef.APIDefinition{APIID: "orders-key", Name: "Orders", UseStandardAuth: true, EnableContextVars: true}),
		session: &user.SessionState{KeyID: "demo0123", OrgID: "demo", Alias: "not a subject", ApplyPolicies: []string{"gold"},
			MetaData: map[string]any{"developer_id": "partner-7", "tenant": "acme"}},
	}
}

func jwtCall() *call {
	return &call{
		api:     withHooksAndTarget(apidef.APIDefinition{APIID: "orders-jwt", Name: "Orders", EnableJWT: true, JWTSource: "https://idp.example.com/jwks", JWTIdentityBaseField: "sub", EnableContextVars: true}),
		session: &user.SessionState{KeyID: "demo6384e2b2184bcbf58eccf10ca7a6563c", OrgID: "demo"}, // md5 of alice
		claims: map[string]any{"iss": "https://idp.example.com", "sub": "alice", "aud": []any{"other", "shop"}, "exp": inSeconds(600),
			"scope": "orders.read profile", "scp": []any{"extra"}, "org_id": "acme", "groups": []any{"orders-eu", "staff"},
			"alg": "RS256", "kid": "k1", "typ": "JWT"},
	}
}

// withHooksAndTarget adds what every definition needs: the hooks, and a target in the mesh.
func withHooksAndTarget(d apidef.APIDefinition) apidef.APIDefinition {
	d.CustomMiddleware.Driver = apidef.GoPluginDriver
	d.CustomMiddleware.Pre = []apidef.MiddlewareDefinition{{Name: tykapi.StripHook, Path: "plugins/identity.so"}}
	d.CustomMiddleware.PostKeyAuth = []apidef.MiddlewareDefinition{{Name: tykapi.SignHook, Path: "plugins/identity.so"}}
	d.CustomMiddleware.Post = []apidef.MiddlewareDefinition{{Name: tykapi.GuardHook, Path: "plugins/identity.so"}}
	d.Proxy.TargetURL = "http://orders.shop.svc.cluster.local:8080/"
	return d
}

func inSeconds(n int) float64 { return float64(time.Now().Add(time.Duration(n) * time.Second).Unix()) }

func (c *call) request() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/tenants/acme/orders/7?secret=1", nil)
	for name, values := range c.header {
		r.Header[name] = values
	}
	if c.certificates != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: c.certificates}
	}
	c.enterContext(r)
	return r
}

// enterContext puts the values of this API into the request's context, as Tyk does.
func (c *call) enterContext(r *http.Request) {
	ctx.SetDefinition(r, &c.api)
	if c.session != nil {
		ctx.SetSession(r, c.session, false, false, false) // fewer values, and Tyk's global configuration is asked
	}
	data := map[string]any{}
	for name, value := range asTykReads(c.claims) {
		data["jwt_claims_"+name] = value
	}
	if c.claims != nil {
		r.Header.Set("Authorization", "Bearer "+c.token())
	}
	setContextValue(r, ctx.ContextData, data)
	if c.ignored {
		setContextValue(r, ctx.RequestStatus, "any")
	}
}

// useOpenAPI gives the request a definition in the OpenAPI form alone.
func useOpenAPI(r *http.Request, o *oas.OAS) {
	setContextValue(r, ctx.Definition, nil)
	ctx.SetOASDefinition(r, o)
}

// asTykReads gives the claims as Tyk gives them to plugins: every number is a float64.
func asTykReads(claims map[string]any) (read map[string]any) {
	data, _ := json.Marshal(claims) // of texts, numbers and lists
	_ = json.Unmarshal(data, &read)
	return read
}

// token makes the caller's token; its signature is not valid, because the plugin does not read it.
func (c *call) token() string {
	header, claims := map[string]any{}, map[string]any{}
	for name, value := range c.claims {
		if slices.Contains(append([]string{"alg", "kid", "typ"}, c.joseFields...), name) && !slices.Contains(c.claimed, name) {
			header[name] = value
		} else {
			claims[name] = value
		}
	}
	part := func(content map[string]any) string {
		data, _ := json.Marshal(content) // of texts, numbers and lists
		return base64.RawURLEncoding.EncodeToString(data)
	}
	return part(header) + "." + part(claims) + ".c2lnbmF0dXJl"
}

func setContextValue(r *http.Request, key, value any) {
	*r = *r.WithContext(context.WithValue(r.Context(), key, value))
}
