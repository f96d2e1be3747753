// Package forward is what a Go service needs to pass a caller's identity on: the
// token of the incoming request goes, unchanged, onto the requests made for it.
// The mesh cannot do this for a service, because a proxy cannot tell for which
// incoming request an outgoing one is made (draft section 12.2).
//
//	http.ListenAndServe(addr, forward.Handler(mux))
//	client := &http.Client{Transport: &forward.Transport{}}
//	request, err := http.NewRequestWithContext(r.Context(), …)
package forward

import (
	"context"
	"net/http"

	"github.com/meshpass/meshpass/shared/identity"
)

type contextKey struct{}

// Handler remembers the incoming token in the request's context. Where there is
// none, or more than one, nothing is remembered: no hop accepts two.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header.Values(identity.Header); len(values) == 1 && values[0] != "" {
			r = r.WithContext(context.WithValue(r.Context(), contextKey{}, values[0]))
		}
		next.ServeHTTP(w, r)
	})
}

// FromContext gives the token that [Handler] remembered.
func FromContext(ctx context.Context) (string, bool) {
	token, ok := ctx.Value(contextKey{}).(string)
	return token, ok
}

// Transport sets the token of the request's context on every request that goes
// through it, in place of any that is there. Use it only for calls inside the
// mesh: a token must not leave it.
type Transport struct {
	Base http.RoundTripper // nil: [http.DefaultTransport]
}

// RoundTrip works on a copy, as [http.RoundTripper] asks.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	r = r.Clone(r.Context())
	r.Header.Del(identity.Header)
	if token, ok := FromContext(r.Context()); ok {
		r.Header.Set(identity.Header, token)
	}
	return base.RoundTrip(r)
}
