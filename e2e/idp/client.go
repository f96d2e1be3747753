package idp

import (
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// redirectURI is where a browser application would wait for its code. Nothing listens there:
// Login reads the code from the redirect itself.
const redirectURI = "http://127.0.0.1/callback"

const tokenLifetime = time.Hour

// shop is the registration of the one client, in the terms of the library.
type shop struct{}

func (shop) GetID() string                        { return ClientID }
func (shop) RedirectURIs() []string               { return []string{redirectURI} }
func (shop) PostLogoutRedirectURIs() []string     { return nil }
func (shop) ApplicationType() op.ApplicationType  { return op.ApplicationTypeNative }
func (shop) AuthMethod() oidc.AuthMethod          { return oidc.AuthMethodNone }
func (shop) ResponseTypes() []oidc.ResponseType   { return []oidc.ResponseType{oidc.ResponseTypeCode} }
func (shop) GrantTypes() []oidc.GrantType         { return []oidc.GrantType{oidc.GrantTypeCode} }
func (shop) LoginURL(id string) string            { return loginPath + "?id=" + url.QueryEscape(id) }
func (shop) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (shop) IDTokenLifetime() time.Duration       { return tokenLifetime }
func (shop) DevMode() bool                        { return false }
func (shop) IsScopeAllowed(string) bool           { return false }
func (shop) IDTokenUserinfoClaimsAssertion() bool { return true }
func (shop) ClockSkew() time.Duration             { return 0 }

//nolint:revive // the name is the interface's
func (shop) RestrictAdditionalIdTokenScopes() func([]string) []string     { return keepScopes }
func (shop) RestrictAdditionalAccessTokenScopes() func([]string) []string { return keepScopes }

func keepScopes(scopes []string) []string { return scopes }
