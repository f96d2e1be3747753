package gateway_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/token"
)

// forged is what clients send under our name.
const forged = "forged"

// What the upstream may see of a token.
const (
	unreached = ""       // it was not called
	none      = "none"   // no header of ours
	theirs    = "theirs" // what the client sent
	signed    = "signed" // exactly one token; it verifies and names the API that was called
	second    = "second" // the same, and it names the second API
)

// upstream represents the mesh: it answers every request, and keeps the requests.
type upstream struct {
	url string

	lock   sync.Mutex
	tokens map[string][]string // by X-Request-Id
}

func newUpstream(t *testing.T) *upstream {
	u := &upstream{tokens: map[string][]string{}}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	u.url = server.URL
	return u
}

// foreign is the same server under a name that is not among the plugin's upstreams.
func (u *upstream) foreign() string { return strings.Replace(u.url, "127.0.0.1", "localhost", 1) }

// ServeHTTP answers with the id of the request, which represents its caller's own data.
func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	u.lock.Lock()
	defer u.lock.Unlock()
	id := r.Header.Get("X-Request-Id")
	u.tokens[id] = append([]string{}, r.Header.Values(identity.Header)...)
	fmt.Fprintf(w, `{"request": %q}`, id)
}

// saw is what came with a request.
func (u *upstream) saw(t *testing.T, requestID string) (string, *identity.Claims) {
	t.Helper()
	u.lock.Lock()
	defer u.lock.Unlock()
	tokens, reached := u.tokens[requestID]
	switch {
	case !reached:
		return unreached, nil
	case len(tokens) == 0:
		return none, nil
	case slices.Equal(tokens, []string{forged}):
		return theirs, nil
	}
	trust := tokentest.TrustEntry(t)
	trust.Subjects = token.Any[string]()
	verifier, err := token.NewVerifier([]token.Trust{trust}, tokentest.Domains, token.Options{})
	must(t, err)
	claims, err := verifier.Verify(tokens[0])
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%d tokens: %v", len(tokens), err)
	}
	if api, _ := claims.Tctx["api"].(map[string]any); strings.HasSuffix(api["id"].(string), "-2") {
		return second, claims
	}
	return signed, claims
}
