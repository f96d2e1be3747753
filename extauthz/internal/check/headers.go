package check

import (
	"maps"
	"slices"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/idheaders"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// tokenHeader is the token's header as HTTP/2 and Envoy write it. Only this
// spelling is the token; txn_token is nobody's.
var tokenHeader = strings.ToLower(identity.Header)

// headers is what the request carries.
type headers struct {
	values map[string][]string // by lower-case name
	ours   []string            // names, as they came, that only Meshpass may write
}

// readHeaders takes both forms. Envoy fills the map, or, with
// encode_raw_headers, the list. When both are filled nobody can say which one
// the workload will see, so a token in each is a doubled token. The map is read
// in order, so that the same Check always gives the same answer.
func readHeaders(http *auth.AttributeContext_HttpRequest) headers {
	h := headers{values: make(map[string][]string, len(http.GetHeaders()))}
	for _, name := range slices.Sorted(maps.Keys(http.GetHeaders())) {
		h.add(name, http.GetHeaders()[name])
	}
	for _, header := range http.GetHeaderMap().GetHeaders() {
		h.add(header.GetKey(), valueOf(header))
	}
	return h
}

func (h *headers) add(name, value string) {
	if identity.IsReservedHeader(name) {
		h.ours = append(h.ours, name)
	}
	name = strings.ToLower(name)
	h.values[name] = append(h.values[name], value)
}

// valueOf reads raw_value too: encode_raw_headers fills only that one.
func valueOf(header *core.HeaderValue) string {
	if raw := header.GetRawValue(); len(raw) > 0 {
		return string(raw)
	}
	return header.GetValue()
}

// joined gives one value for each name, doubled headers joined as Envoy does.
func (h headers) joined() map[string]string {
	all := make(map[string]string, len(h.values))
	for name, values := range h.values {
		all[name] = strings.Join(values, ",")
	}
	return all
}

func (h headers) first(name string) string {
	if values := h.values[name]; len(values) > 0 {
		return values[0]
	}
	return ""
}

// token gives the one token of the request. Envoy joins a doubled header by
// ",", which no token contains.
func (h headers) token() (raw string, refusal decision.Reason) {
	switch values := h.values[tokenHeader]; {
	case len(values) == 0:
		return "", decision.TokenMissing
	case len(values) > 1 || strings.Contains(values[0], ","):
		return "", decision.TokenDuplicated
	default:
		return values[0], ""
	}
}

// removable reports whether Envoy can take every name of ours off the request. A Check shows bytes
// that are not UTF-8 as "!", so a removal by that name would miss what the workload gets. Neither
// "!" nor a byte outside a token (RFC 9110 section 5.6.2) is accepted in such a name.
func (h headers) removable() bool {
	return !slices.ContainsFunc(h.ours, func(name string) bool { return strings.ContainsFunc(name, notOfToken) })
}

func notOfToken(r rune) bool {
	letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
	return !letterOrDigit && !strings.ContainsRune("#$%&'*+-.^_`|~", r)
}

// unvouched lists the names to remove before the request goes on: all that are
// ours, but for the token when it was verified, and for what we set. Left in
// place, a spelling such as X_Meshpass_User or X.Meshpass.User would reach a CGI
// program as X-Meshpass-User. The configured ones are removed also where the Check does not show them.
func (h headers) unvouched(tokenVerified bool, configured idheaders.Headers, set map[string]string) []string {
	remove := slices.Clone(h.ours)
	for _, header := range configured {
		remove = append(remove, header.Name, strings.ReplaceAll(header.Name, "-", "_"))
	}
	slices.Sort(remove)
	remove = slices.Compact(remove)
	return slices.DeleteFunc(remove, func(name string) bool {
		name = strings.ToLower(name)
		return tokenVerified && name == tokenHeader || set[name] != ""
	})
}
