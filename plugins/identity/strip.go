package main

import (
	"net/http"
	"strings"

	"github.com/meshpass/meshpass/shared/identity"
)

// removeOurs takes every header under our names off the request, in every
// spelling that something behind us might read as ours.
func removeOurs(r *http.Request) {
	for name := range r.Header {
		if identity.IsReservedHeader(name) {
			delete(r.Header, name) // not Del, which would miss a name that is not canonical
		}
	}
	keepOurHeaderFromConnection(r.Header)
	// Tyk passes trailers on, undeclared ones too, and they are complete only
	// when the body has been read. A proxy may discard them (RFC 9110 6.5.1).
	r.Trailer = nil
}

// keepOurHeaderFromConnection takes our names out of the client's Connection
// header: Tyk's proxy deletes every header named there, our token included
// (RFC 9110 section 7.6.1).
func keepOurHeaderFromConnection(h http.Header) {
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
