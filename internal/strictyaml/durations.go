package strictyaml

import (
	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/duration"
)

// convertDays writes a duration with days, such as 7d, in hours, which is what the library
// reads. What is no duration stays as it is.
func convertDays(node *yaml.Node) {
	if d, err := duration.Parse(node.Value); err == nil && node.ShortTag() == "!!str" {
		node.Value = d.String()
	}
}
