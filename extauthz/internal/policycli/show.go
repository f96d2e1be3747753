package policycli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Nothing is what a missing or empty value is shown as.
const NoValue = "nothing"

// FormatValue writes a value of a trace for people: what a condition wants, or has.
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
