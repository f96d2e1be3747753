package app

import (
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// parseIdentityHeaders returns the headers in the order of their names, so that every answer
// has the same order.
func parseIdentityHeaders(file *strictyaml.Checker, claims map[string]string) decide.IdentityHeaders {
	var headers decide.IdentityHeaders
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		header, err := decide.NewIdentityHeader(name, claims[name])
		if err != nil {
			file.Reject(strictyaml.Path{"identityHeaders", name}, "%s", err)
		}
		headers = append(headers, header)
	}
	return headers
}
