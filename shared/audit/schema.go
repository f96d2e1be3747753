package audit

import _ "embed"

// Schema is the JSON Schema (draft 2020-12) of a line of the audit trail: of a [Record] or
// of a [Gap].
//
//go:embed schema.json
var Schema []byte
