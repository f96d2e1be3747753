package policycli

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Nothing is what a missing or empty value is shown as.
const Nothing = "nothing"

// Show writes a value of a trace for people: what a condition wants, or has.
func Show(value any) string {
	switch value := value.(type) {
	case nil:
		return Nothing
	case map[string]any:
		if len(value) == 0 {
			return Nothing
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
	return Nothing
}
