package flood

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/shared/identity"
)

// newToken signs a token for a user of the tenant acme, with more members of tctx.
func (a *authorizer) newToken(user string, more map[string]any) (string, error) {
	claims := map[string]any{"tenant": "acme", "plan": "gold", "groups": []string{"orders-read", "staff"}}
	for name, value := range more {
		claims[name] = value
	}
	raw, _, err := a.minter.Mint(identity.Identity{
		Subject: identity.Subject{Namespace: "demo", ID: user}, Scopes: []string{"orders.read"}, Requester: checks.Gateway,
		API: identity.API{ID: "orders-api", Name: "Orders"}, Org: "acme-org", Method: "jwt", Claims: claims, IP: "192.0.2.7",
	})
	return raw, err
}

// serveKeySet serves the key set until the authorizer is closed.
func (a *authorizer) serveKeySet(jwks []byte) (url string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	a.keySet = &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(jwks) // the authorizer has ended
	})}
	go func() { _ = a.keySet.Serve(listener) }() // ends when closed
	return fmt.Sprintf("http://%s/jwks.json", listener.Addr()), nil
}
