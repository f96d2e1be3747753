package source

import _ "embed"

// Schema is the JSON Schema of AccessPolicy, with which editors complete and check
// documents. It knows their form; what only the loader can judge, such as an
// expression, it lets pass.
//
//go:embed schema.json
var Schema []byte
