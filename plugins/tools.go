//go:build tools

package plugins

// The gateway is built from this module too (`go build github.com/TykTechnologies/tyk`),
// so its main package has to stay in the module graph. The tag keeps it out of every build.
import _ "github.com/TykTechnologies/tyk"
