package strictyaml

import (
	"regexp"

	"gopkg.in/yaml.v3"
)

// placeholder is how shells, Compose files and Kubernetes name a variable in a text.
var placeholder = regexp.MustCompile(`\$\{[^}]*\}|\$\([A-Za-z_][A-Za-z0-9_]*\)`)

// UnexpandedValues finds values that name a variable, which nothing replaces: such a value would be
// taken as it is written.
func (d *Document) UnexpandedValues() Problems {
	var problems Problems
	visitValues(d.root, func(key string, value *yaml.Node) {
		if value.Kind != yaml.ScalarNode {
			return
		}
		if found := placeholder.FindString(value.Value); found != "" {
			problems.Add(positionOf(value), "%s: %.64s is not replaced: variables are not expanded here; write the value itself, or replace it before the program starts", key, found)
		}
	})
	return problems
}
