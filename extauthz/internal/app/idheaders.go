package app

import (
	"maps"
	"slices"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// identityHeaders are in the order of their names, so that every answer is.
func (l *loader) identityHeaders() decide.IdentityHeaders {
	var headers decide.IdentityHeaders
	for _, name := range slices.Sorted(maps.Keys(l.config.IdentityHeaders)) {
		header, err := decide.NewIdentityHeader(name, l.config.IdentityHeaders[name])
		if err != nil {
			l.check.Reject(strictyaml.Path{"identityHeaders", name}, "%s", err)
		}
		headers = append(headers, header)
	}
	return headers
}
