package decide

import "github.com/meshpass/meshpass/shared/decision"

// Answer is what a proxy does with a request. The zero value denies.
type Answer struct {
	// Decision allows or denies the request: see [decision.Decision.Allowed].
	Decision decision.Decision

	// SetHeaders are set on an allowed request before it goes on. Each replaces every
	// header of its name.
	SetHeaders []Field

	// RemoveHeaders are the names of headers to remove from an allowed request. No name
	// is in SetHeaders too.
	RemoveHeaders []string

	// Status, Headers and Body are the response to a request that is denied: a status
	// of HTTP, headers that replace others of their names, and a body of
	// [decision.ProblemMediaType].
	Status  int
	Headers []Field
	Body    string

	// Metadata is what a log can say of the decision, in UTF-8. In Envoy it is dynamic
	// metadata: %DYNAMIC_METADATA(envoy.filters.http.ext_authz:NAME)%.
	Metadata []Field
}

// Field is a header or an entry of the metadata.
type Field struct{ Name, Value string }
