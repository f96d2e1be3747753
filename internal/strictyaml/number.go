package strictyaml

import (
	"reflect"
	"regexp"
	"time"

	"gopkg.in/yaml.v3"
)

// numberForm is a number as JSON writes it (RFC 8259 section 6).
var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// checkNumbers finds texts that are numbers in YAML only: 0123 is 83 there, 1_000 is 1000, and
// 0x1F is 31. People who write them mean a text as often as a number, so they are problems.
func checkNumbers(value *yaml.Node, t reflect.Type, problems *Problems) {
	switch {
	case !holdsNumbers(t):
	case value.Kind != yaml.ScalarNode: // free data: all that is below has the same type
		for i, c := range value.Content {
			if value.Kind == yaml.SequenceNode || i%2 == 1 {
				checkNumbers(c, t, problems)
			}
		}
	case (value.ShortTag() == "!!int" || value.ShortTag() == "!!float") && !numberForm.MatchString(value.Value):
		var number any
		if err := value.Decode(&number); err != nil {
			return // reported where it is decoded
		}
		problems.Add(positionOf(value), "YAML reads %s as the number %v: write that, or %q with its quotes if it is a text", value.Value, number, value.Value)
	}
}

// holdsNumbers reports whether a number is decoded as a number into t; a text keeps it as it is written.
func holdsNumbers(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64, reflect.Interface:
		custom := reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
		return !custom && t != reflect.TypeFor[time.Duration]()
	}
	return false
}
