package decide

import (
	"slices"
	"strings"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// tokenHeader is the token's header as HTTP/2 and Envoy write it. Only this spelling
// is the token: txn_token is an unknown header.
var tokenHeader = strings.ToLower(identity.Header)

// Headers are the headers of a request. The zero value is empty.
type Headers struct {
	values map[string][]string // by lower-case name
	ours   []string            // names, as they came, that only Meshpass may write
	room   []string            // for the first values of names: one allocation for all of them
}

// NewHeaders makes room for a number of headers. More can be added.
func NewHeaders(size int) Headers {
	return Headers{values: make(map[string][]string, size), room: make([]string, 0, size)}
}

// Add adds one header. The order of headers with the same name is kept.
func (h *Headers) Add(name, value string) {
	if identity.IsReservedHeader(name) {
		h.ours = append(h.ours, name)
	}
	name = strings.ToLower(name)
	if values, doubled := h.values[name]; doubled {
		h.values[name] = append(values, value)
		return
	}
	if h.values == nil {
		h.values = map[string][]string{}
	}
	h.room = append(h.room, value)
	end := len(h.room)
	h.values[name] = h.room[end-1 : end : end]
}

// joinValues gives one value for each name. The values of a doubled header are joined as
// Envoy joins them.
func (h Headers) joinValues() map[string]string {
	all := make(map[string]string, len(h.values))
	for name, values := range h.values {
		all[name] = strings.Join(values, ",")
	}
	return all
}

func (h Headers) firstOf(name string) string {
	if values := h.values[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// findToken gives the one token of the request. Envoy joins a doubled header by ",", which
// no token contains.
func (h Headers) findToken() (raw string, missing decision.Reason) {
	switch values := h.values[tokenHeader]; {
	case len(values) == 0:
		return "", decision.TokenMissing
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", decision.TokenDuplicated
	default:
		return values[0], ""
	}
}

// areRemovable reports whether Envoy can remove every header that only Meshpass may
// write. A Check shows bytes that are not UTF-8 as "!", so a removal by that name would
// miss the header that the workload gets. Such a name may therefore hold neither "!" nor
// a byte that is not allowed in a name (RFC 9110 section 5.6.2).
func (h Headers) areRemovable() bool {
	return !slices.ContainsFunc(h.ours, func(name string) bool { return strings.ContainsFunc(name, isNotOfName) })
}

func isNotOfName(r rune) bool {
	letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letterOrDigit && !strings.ContainsRune("#$%&'*+-.^_`|~", r)
}

// Names of headers that an answer or its record depends on, beside the reserved ones.
const (
	pathHeader        = ":path"
	authorityHeader   = ":authority"
	hostHeader        = "host"
	traceparentHeader = "traceparent"
	requestIDHeader   = "x-request-id"
)

// HeadersRead lists the names that every decision reads behind a sidecar, sorted. Rules may read more,
// and a waypoint's Check also needs [XFCCHeader]. Reserved headers (identity.IsReservedHeader) are read
// in every spelling.
func HeadersRead() []string {
	return []string{authorityHeader, pathHeader, hostHeader, traceparentHeader, requestIDHeader}
}
