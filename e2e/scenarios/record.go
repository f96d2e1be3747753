package scenarios

import "fmt"

// Record is one line of an audit log, as its fields were written.
type Record map[string]any

// recordFields are the fields that a case may name. The list exists because an expected field with a
// mistyped name never matches.
var recordFields = []string{
	"kind", "txn", "request_id", "listener", "caller", "callee", "method", "path", "host",
	"sub", "iss", "decision", "reason", "policy", "rule", "mode", "shadow",
}

// FieldText returns a field as text. It is empty if the record does not have the field.
func (r Record) FieldText(field string) string {
	if value, ok := r[field]; ok {
		return fmt.Sprint(value)
	}
	return ""
}
