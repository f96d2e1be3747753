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

// Headers are the headers of a request. The zero value is empty. A request has few of them, and a decision reads few of
// those: they are found one by one.
type Headers struct {
	fields []Field  // by lower-case name, in their order
	ours   []string // names, as they came, that only Meshpass may write
}

// NewHeaders makes room for a number of headers. More can be added.
func NewHeaders(size int) Headers { return Headers{fields: make([]Field, 0, size)} }

// Add adds one header. The order of headers with the same name is kept.
func (h *Headers) Add(name, value string) {
	if identity.IsReservedHeader(name) {
		h.ours = append(h.ours, name)
	}
	h.fields = append(h.fields, Field{strings.ToLower(name), value})
}

// Clear removes all headers. Their memory is used again.
func (h *Headers) Clear() {
	clear(h.fields)
	clear(h.ours)
	h.fields, h.ours = h.fields[:0], h.ours[:0]
}

// find gives the first value of a name, and the number of its values.
func (h Headers) find(name string) (first string, count int) {
	for i := range h.fields {
		if h.fields[i].Name == name {
			if count++; count == 1 {
				first = h.fields[i].Value
			}
		}
	}
	return first, count
}

// valuesOf gives all values of a name.
func (h Headers) valuesOf(name string) (values []string) {
	for i := range h.fields {
		if h.fields[i].Name == name {
			values = append(values, h.fields[i].Value)
		}
	}
	return values
}

// anyDiffers reports whether a header of the name has another value than the wanted one. Envoy
// fills all fields that hold a path or a host from one value. If they differ, the workload gets
// another value than one of them.
func (h Headers) anyDiffers(name, want string) bool {
	for i := range h.fields {
		if h.fields[i].Name == name && h.fields[i].Value != want {
			return true
		}
	}
	return false
}

// joinValues gives one value for each name. The values of a doubled header are joined as
// Envoy joins them.
func (h Headers) joinValues() map[string]string {
	all := make(map[string]string, len(h.fields))
	for _, field := range h.fields {
		if _, doubled := all[field.Name]; !doubled {
			all[field.Name], _ = h.joined(field.Name)
		}
	}
	return all
}

// selectValues is joinValues for some names.
func (h Headers) selectValues(names []string) map[string]string {
	if len(names) == 0 {
		return nil
	}
	selected := make(map[string]string, len(names))
	for _, name := range names {
		if value, known := h.joined(name); known {
			selected[name] = value
		}
	}
	return selected
}

func (h Headers) joined(name string) (value string, known bool) {
	first, count := h.find(name)
	if count > 1 {
		return strings.Join(h.valuesOf(name), ","), true
	}
	return first, count == 1
}

func (h Headers) firstOf(name string) string {
	first, _ := h.find(name)
	return first
}

// findToken gives the one token of the request. Envoy joins a doubled header by ",", which
// no token contains.
func (h Headers) findToken() (raw string, missing decision.Reason) {
	switch value, count := h.find(tokenHeader); {
	case count == 0:
		return "", decision.TokenMissing
	case count > 1 || strings.Contains(value, ","):
		return "", decision.TokenDuplicated
	default:
		return value, ""
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
