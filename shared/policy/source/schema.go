package source

import _ "embed"

// Schema is the JSON Schema of AccessPolicy. Editors use it to complete and check
// documents. It knows their form, and accepts the parts that only the loader can check,
// such as an expression.
//
//go:embed schema.json
var Schema []byte
