package idp

import (
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID is the only registered client: a public client that must use PKCE.
const ClientID = "shop"

const loginPath = "/login"

// redirectURI is the URL at which a browser application would get its code. No server listens
// there: Login reads the code from the redirect itself.
const redirectURI = "http://127.0.0.1/callback"

const tokenLifetime = time.Hour

// shopClient is the registration of the client, with the methods that the library asks for.
type shopClient struct{}

func (shopClient) GetID() string                       { return ClientID }
func (shopClient) RedirectURIs() []string              { return []string{redirectURI} }
func (shopClient) PostLogoutRedirectURIs() []string    { return nil }
func (shopClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }
func (shopClient) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodNone }
func (shopClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (shopClient) GrantTypes() []oidc.GrantType         { return []oidc.GrantType{oidc.GrantTypeCode} }
func (shopClient) LoginURL(id string) string            { return loginPath + "?id=" + url.QueryEscape(id) }
func (shopClient) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (shopClient) IDTokenLifetime() time.Duration       { return tokenLifetime }
func (shopClient) DevMode() bool                        { return false }
func (shopClient) IsScopeAllowed(string) bool           { return false }
func (shopClient) IDTokenUserinfoClaimsAssertion() bool { return true }
func (shopClient) ClockSkew() time.Duration             { return 0 }

//nolint:revive // zitadel/oidc gives the method this name
func (shopClient) RestrictAdditionalIdTokenScopes() func([]string) []string     { return keepScopes }
func (shopClient) RestrictAdditionalAccessTokenScopes() func([]string) []string { return keepScopes }

func keepScopes(scopes []string) []string { return scopes }
