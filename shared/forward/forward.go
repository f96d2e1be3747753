// Package forward is what a Go service needs to pass a caller's identity on: the
// token of the incoming request goes, unchanged, onto the requests made for it.
// The mesh cannot do this for a service, because a proxy cannot tell for which
// incoming request an outgoing one is made (draft section 12.2).
//
//	http.ListenAndServe(addr, forward.Handler(mux))
//	client := &http.Client{Transport: &forward.Transport{Inside: forward.MustParseHosts("*.svc.cluster.local")}}
//	request, err := http.NewRequestWithContext(r.Context(), …)
//
// Package forwardgrpc has the same for gRPC; both keep the token in the same place
// of the context, so a call that comes in by one protocol may go on by the other.
package forward

import (
	"context"
	"net/http"
	"net/url"

	"github.com/meshpass/meshpass/shared/identity"
)

type contextKey struct{}

// Handler remembers the incoming token in the request's context.
func Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ctx := Remember(r.Context(), r.Header.Values(identity.Header)); ctx != r.Context() {
			r = r.WithContext(ctx)
		}
		next.ServeHTTP(w, r)
	})
}

// Remember keeps the token in the context, for servers of other protocols. values are all that came
// in the header [identity.Header]: of none, or more than one, nothing is kept, as no hop accepts two.
func Remember(ctx context.Context, values []string) context.Context {
	if len(values) != 1 || values[0] == "" {
		return ctx
	}
	return context.WithValue(ctx, contextKey{}, values[0])
}

// FromContext gives the token that [Handler] remembered.
func FromContext(ctx context.Context) (string, bool) {
	token, ok := ctx.Value(contextKey{}).(string)
	return token, ok
}

// Transport sets the token of the request's context on every request to a host inside the mesh, in
// place of any that is there. From every other request it removes the token and all identity
// headers: a service that copies headers, or follows a redirect, must not carry them out.
type Transport struct {
	Base   http.RoundTripper // nil: [http.DefaultTransport]
	Inside Hosts             // the zero value has none: nothing is passed on
}

// RoundTrip works on a copy, as [http.RoundTripper] asks.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	base := t.Base
	if base == nil {
		base = http.DefaultTransport
	}
	token, ok := FromContext(r.Context())
	inside := t.staysInside(r)
	trailer := r.Trailer
	r = r.Clone(r.Context())
	r.Trailer = trailer // its values are set while the body is sent, so that a copy would have none
	deleteOurs(r.Header)
	if hasOurs(trailer) {
		r.Trailer = trailer.Clone()
		deleteOurs(r.Trailer)
	}
	if ok && inside {
		r.Header.Set(identity.Header, token)
	}
	return base.RoundTrip(r)
}

// staysInside judges all that may say where the request goes: the host that is connected to, the Host
// header, by which a sidecar or a proxy routes, and the opaque form, which is sent in place of the path
// and may name another host. A URL with a user is not one that a service writes for another service.
func (t *Transport) staysInside(r *http.Request) bool {
	host := url.URL{Scheme: r.URL.Scheme, Host: r.Host}
	return r.URL.Opaque == "" && r.URL.User == nil && t.Inside.Admit(r.URL) && (r.Host == "" || t.Inside.Admit(&host))
}

func hasOurs(h http.Header) bool {
	for name := range h {
		if identity.IsReservedHeader(name) {
			return true
		}
	}
	return false
}

func deleteOurs(h http.Header) {
	for name := range h {
		if identity.IsReservedHeader(name) {
			delete(h, name) // not Del, which would miss a name that is not canonical
		}
	}
}
