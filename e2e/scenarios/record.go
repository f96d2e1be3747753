package scenarios

import "fmt"

// Record is one line of an audit log, as its fields were written.
type Record map[string]any

// recordFields are the fields that a case may name; a mistyped name would otherwise never match.
var recordFields = []string{
	"kind", "txn", "request_id", "listener", "caller", "callee", "method", "path", "host",
	"sub", "iss", "decision", "reason", "policy", "rule", "mode", "shadow",
}

// Text returns a field as text, and "" when the record has none.
func (r Record) Text(field string) string {
	if value, ok := r[field]; ok {
		return fmt.Sprint(value)
	}
	return ""
}
