package main

import (
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// removeReservedHeaders removes every header under our names, in every spelling that a program behind
// the gateway might read as ours.
func removeReservedHeaders(r *http.Request) {
	for name := range r.Header {
		if identity.IsReservedHeader(name) {
			delete(r.Header, name) // Del would miss a name that is not canonical
		}
	}
	keepTokenFromConnection(r.Header)
	// Tyk passes trailers on, also undeclared ones, and they are complete only when the body has been
	// read. A proxy may discard them (RFC 9110 section 6.5.1).
	r.Trailer = nil
}

// keepTokenFromConnection removes our names from the client's Connection header: Tyk's proxy deletes
// every header that is named there, also our token (RFC 9110 section 7.6.1).
func keepTokenFromConnection(h http.Header) {
	values := h.Values("Connection")
	if len(values) == 0 {
		return
	}
	var kept []string
	for _, option := range strings.Split(strings.Join(values, ","), ",") {
		if option = strings.TrimSpace(option); option != "" && !identity.IsReservedHeader(option) {
			kept = append(kept, option)
		}
	}
	h.Del("Connection")
	if len(kept) > 0 {
		h.Set("Connection", strings.Join(kept, ", "))
	}
}
