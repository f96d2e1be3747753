// Package forward passes the user's identity on from service to service. A Go service uses
// it to put the token of an incoming request, unchanged, on the requests that it makes for
// it. The mesh cannot do that for the service: a proxy does not know which incoming request
// an outgoing one belongs to (draft section 12.2).
//
// Two parts work together. [Handler] keeps the incoming token in the context of the request.
// [Transport] puts it on outgoing requests that have this context, if they go to a host
// inside the mesh:
//
//	http.ListenAndServe(addr, forward.Handler(mux))
//	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("*.svc.cluster.local")}}
//	request, err := http.NewRequestWithContext(r.Context(), …)
//
// The token is a bearer and must not leave the mesh. So [Hosts] is a closed list, and from
// requests to any other host the token and all identity headers are removed.
//
// Package forwardgrpc does the same for gRPC. Both keep the token in the same place of the
// context: a request that comes in by one protocol may go on by the other.
package forward

import (
	"context"
	"net/http"
	"net/url"

	"github.com/meshpass/meshpass/shared/identity"
)

type contextKey struct{}

// Handler returns a handler that keeps the incoming token in the request's context, and
// calls next.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx := Remember(r.Context(), r.Header.Values(identity.Header)); ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// Remember returns a context that holds the token, for servers of other protocols. values
// are all values of the header [identity.Header]. If there is not exactly one, no token is
// kept: no hop accepts two.
func Remember(ctx context.Context, values []string) context.Context {
	if len(values) != 1 || values[0] == "" {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, values[0])
}

// FromContext returns the token that [Handler] or [Remember] has kept. ok is false if there
// is no token.
func FromContext(ctx context.Context) (token string, ok bool) {
	token, ok = ctx.Value(contextKey{}).(string)
	return token, ok
}

// Transport sets the token of the request's context on every request to a host inside the
// mesh, and replaces one that is there. From every other request it removes the token and
// all identity headers, so that a service that copies headers, or follows a redirect, does
// not carry them out of the mesh.
type Transport struct {
	Base   http.RoundTripper // nil: [http.DefaultTransport]
	Inside Hosts             // hosts of the mesh; the zero value is empty: no token is passed on
}

// RoundTrip sends a copy of the request, as [http.RoundTripper] requires.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	token, ok := FromContext(r.Context())
	inside := t.isInside(r)
	trailer := r.Trailer
	r = r.Clone(r.Context())
	r.Trailer = trailer // its values are set while the body is sent, so a copy would miss them
	deleteReserved(r.Header)
	if hasReserved(trailer) {
		r.Trailer = trailer.Clone()
		deleteReserved(r.Trailer)
	}
	if ok && inside {
		r.Header.Set(identity.Header, token)
	}
	return base.RoundTrip(r)
}

// isInside reports whether the request goes to a host of the mesh. It checks everything that
// can decide that: the host of the connection, the Host header, which sidecars and proxies
// route by, and the opaque form, which is sent in place of the path and may name another
// host. It rejects a URL with a user, which no service writes for another service.
func (t *Transport) isInside(r *http.Request) bool {
	host := url.URL{Scheme: r.URL.Scheme, Host: r.Host}
	return r.URL.Opaque == "" && r.URL.User == nil && t.Inside.Admit(r.URL) && (r.Host == "" || t.Inside.Admit(&host))
}

func hasReserved(h http.Header) bool {
	for name := range h {
		if identity.IsReservedHeader(name) {
			return true
		}
	}
	return false
}

func deleteReserved(h http.Header) {
	for name := range h {
		if identity.IsReservedHeader(name) {
			delete(h, name) // Del would miss a name that is not canonical
		}
	}
}
