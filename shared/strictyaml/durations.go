package strictyaml

import (
	"reflect"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/shared/duration"
)

// convertDays writes durations with days, such as 7d, in hours, which is what the library
// reads. What is no duration stays as it is, for the library to find.
func convertDays(node *yaml.Node, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		if d, err := duration.Parse(node.Value); err == nil && node.ShortTag() == "!!str" {
			node.Value = d.String()
		}
	case reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]()):
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for _, c := range node.Content {
			convertDays(c, t.Elem())
		}
	case node.Kind == yaml.MappingNode && (t.Kind() == reflect.Map || t.Kind() == reflect.Struct):
		known := map[string]reflect.Type{}
		if t.Kind() == reflect.Struct {
			known = fieldsOf(t)
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			value, ok := known[node.Content[i].Value]
			if t.Kind() == reflect.Map {
				value, ok = t.Elem(), true
			}
			if ok {
				convertDays(node.Content[i+1], value)
			}
		}
	}
}
