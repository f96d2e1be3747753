package policycli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NoValue is the text for a missing or empty value.
const NoValue = "nothing"

// FormatValue writes a value of a trace for people. The value is the one that a condition
// wants, or the one that the request has.
func FormatValue(value any) string {
	switch value := value.(type) {
	case nil:
		return NoValue
	case map[string]any:
		if len(value) == 0 {
			return NoValue
		}
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(value)) {
			parts = append(parts, fmt.Sprintf("%s = %v", name, value[name]))
		}
		return strings.Join(parts, ", ")
	}
	if text := fmt.Sprint(value); text != "" {
		return text
	}
	return NoValue
}
