package path

import (
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/requesttrace/record"
)

// removeTokens removes a query, and each token. Records of Meshpass have neither, but a document can read a header with a token, and
// access logs can have another format.
func removeTokens(r record.Record) record.Record {
	r.Path, _, _ = strings.Cut(r.Path, "?")
	r.Path, r.Detail = printer.RedactTokens(r.Path), printer.RedactTokens(r.Detail)
	if r.Inputs != nil {
		r.Inputs, _ = removeTokensIn(r.Inputs).(map[string]any)
	}
	return r
}

// removeTokensIn copies a value of JSON.
func removeTokensIn(value any) any {
	switch v := value.(type) {
	case string:
		return printer.RedactTokens(v)
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = removeTokensIn(v[i])
		}
		return all
	case map[string]any:
		all := make(map[string]any, len(v))
		for name := range v {
			all[name] = removeTokensIn(v[name])
		}
		return all
	default:
		return value
	}
}
