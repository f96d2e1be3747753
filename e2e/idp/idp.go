// Package idp is a real OpenID provider for the demo and the tests, on zitadel/oidc.
//
// Discovery, JWKS and the token endpoint are the library's own, so a gateway that trusts this
// provider does the same work as with any other. Only the part that a person does in a browser is
// ours: the login page signs in the user that the client named as `login_hint`, without a password.
// [Login] walks that authorization-code flow (with PKCE) over HTTP and returns the tokens.
//
// It listens on loopback and uses plain HTTP. It proves no user's identity: never run it elsewhere.
package idp

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// ClientID is the one registered client: a public client that must use PKCE.
const ClientID = "shop"

// User is somebody who can sign in. Her tokens carry Tenant and Scope as the claims `tenant` and
// `scope` (space-delimited), in the access token and in the ID token alike.
type User struct {
	Name, Tenant, Scope string
}

// DemoUsers are the two people of the demo: alice may read orders, bob may not.
func DemoUsers() []User {
	return []User{
		{Name: "alice", Tenant: "acme", Scope: "orders.read"},
		{Name: "bob", Tenant: "acme", Scope: "profile.read"},
	}
}

// New returns the provider's handler. issuer is the URL of the handler,
// for example "http://127.0.0.1:9556"; it becomes the tokens' `iss`.
func New(issuer string, users []User) (http.Handler, error) {
	store, err := newStorage(users)
	if err != nil {
		return nil, err
	}
	config := &op.Config{CodeMethodS256: true}
	if _, err := rand.Read(config.CryptoKey[:]); err != nil {
		return nil, fmt.Errorf("idp: cannot make the cookie key: %w", err)
	}
	provider, err := op.NewProvider(config, store, op.StaticIssuer(issuer), op.WithAllowInsecure())
	if err != nil {
		return nil, fmt.Errorf("idp: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", provider)
	mux.Handle("GET "+loginPath, &loginPage{store: store, callback: provider.AuthorizationEndpoint().Absolute(issuer) + "/callback"})
	return mux, nil
}

const loginPath = "/login"

// loginPage replaces the page on which a person would type a password.
type loginPage struct {
	store    *storage
	callback string
}

func (p *loginPage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if err := p.store.signIn(id); err != nil {
		http.Error(w, err.Error(), http.StatusForbidden)
		return
	}
	http.Redirect(w, r, p.callback+"?id="+url.QueryEscape(id), http.StatusFound)
}
