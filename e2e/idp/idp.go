// Package idp is a real OpenID provider for the demo and the tests, on zitadel/oidc.
//
// Discovery, JWKS and the token endpoint are those of the library, so a gateway that trusts this
// provider does the same work as with any other. Only the part that a person does in a browser is
// ours: the login page signs in the user of the `login_hint`, without a password. [Login] follows
// that authorization-code flow (with PKCE) over HTTP and returns the tokens.
//
// It listens on loopback, with plain HTTP. It does not verify any user: never run it elsewhere.
package idp

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// New returns the provider's handler. issuer is the URL at which it will be reached,
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

// loginPage replaces the page on which a person types a password.
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
