package service

import (
	"context"
	"net/http"
)

// tracingHeaders are the headers that every service in a mesh passes on, so that a request can be
// followed from hop to hop: Envoy's request id and the W3C trace context.
var tracingHeaders = []string{"X-Request-Id", "Traceparent", "Tracestate"}

type incomingKey struct{}

// keepIncomingHeader puts the incoming headers into the context, for tracingTransport.
func keepIncomingHeader(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), incomingKey{}, r.Header)))
	})
}

// tracingTransport copies the tracing headers of the incoming request to the outgoing one.
type tracingTransport struct{ base http.RoundTripper }

func (t tracingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	from, ok := r.Context().Value(incomingKey{}).(http.Header)
	if !ok {
		return t.base.RoundTrip(r)
	}
	r = r.Clone(r.Context()) // a RoundTripper must not change the caller's request
	for _, name := range tracingHeaders {
		if values := from.Values(name); len(values) > 0 {
			r.Header[name] = values
		}
	}
	return t.base.RoundTrip(r)
}
