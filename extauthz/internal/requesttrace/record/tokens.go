package record

import (
	"strings"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// WithoutTokens is the record without a query, and without tokens. Records of Meshpass have neither, but a document can read a header with
// a token, a client can write one where an id or a host is expected, and access logs can have another format.
func (r Record) WithoutTokens() Record {
	r.Path, _, _ = strings.Cut(r.Path, "?")
	r.Path, r.Detail = printer.RedactTokens(r.Path), printer.RedactTokens(r.Detail)
	for _, name := range []*string{&r.Txn, &r.TraceID, &r.RequestID, &r.ID, &r.Sub, &r.Iss, &r.Actor, &r.Caller, &r.Callee, &r.Method, &r.Host, &r.Decision, &r.Reason,
		&r.Policy, &r.Folder, &r.Rule, &r.Mode, &r.Generation, &r.Flags, &r.Details, &r.Cluster, &r.Peer} {
		*name = RedactName(*name)
	}
	shadow := make([]string, len(r.Shadow))
	for i, text := range r.Shadow {
		shadow[i] = printer.RedactTokens(text)
	}
	r.Shadow = shadow
	if r.Inputs != nil {
		r.Inputs, _ = removeTokensIn(r.Inputs).(map[string]any)
	}
	return r
}

// RedactName removes tokens from a name. Only a JWT is one: the name of a host can have three long parts too.
func RedactName(name string) string {
	if !strings.Contains(name, "eyJ") { // {" in base64url
		return name
	}
	return printer.RedactTokens(name)
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
			all[RedactName(name)] = removeTokensIn(v[name])
		}
		return all
	default:
		return value
	}
}
