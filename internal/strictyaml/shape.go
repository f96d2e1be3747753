package strictyaml

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/duration"
)

var (
	durationType = reflect.TypeFor[time.Duration]()
	timeType     = reflect.TypeFor[time.Time]()
)

// hasShape reports whether the node has the form of value from which t is read.
func hasShape(node *yaml.Node, t reflect.Type) bool {
	scalar := node.Kind == yaml.ScalarNode
	if t == timeType {
		return scalar && node.Decode(new(time.Time)) == nil
	}
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Slice, reflect.Array:
		return node.Kind == yaml.SequenceNode
	case reflect.Map, reflect.Struct:
		return node.Kind == yaml.MappingNode
	case reflect.String:
		return scalar
	case reflect.Bool:
		return scalar && node.ShortTag() == "!!bool"
	case reflect.Float32, reflect.Float64:
		return scalar && numberForm.MatchString(node.Value)
	default:
		readable := t == durationType || wholeNumber.MatchString(node.Value) // the library cuts the fraction off
		return scalar && readable && node.Decode(reflect.New(t).Interface()) == nil
	}
}

var wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// wrongShape names the wanted form, the value, and the text to write.
func wrongShape(key string, node *yaml.Node, t reflect.Type) string {
	if key == "" {
		key = "the document"
	}
	return fmt.Sprintf("%s: want %s, not %s%s", key, describeType(t), describeNode(node), proposeValue(key, node, t))
}

func describeType(t reflect.Type) string {
	switch {
	case t == durationType:
		return "a duration such as 30s or 7d"
	case t == timeType:
		return "a time such as 2026-06-01T12:00:00Z"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Slice:
		return "a list"
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Slice:
		return "a mapping of NAME: [VALUE, VALUE]"
	case t.Kind() == reflect.Map:
		return "a mapping of NAME: VALUE"
	case t.Kind() == reflect.Struct:
		return "a mapping with the keys " + strings.Join(slices.Sorted(maps.Keys(fieldsOf(t))), ", ")
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	default:
		return "a whole number"
	}
}

// maxQuotedText bounds, in bytes, the text that a message repeats.
const maxQuotedText = 60

func describeNode(node *yaml.Node) string {
	switch node.Kind {
	case yaml.SequenceNode:
		return "a list"
	case yaml.MappingNode:
		return "a mapping"
	}
	text := node.Value
	if len(text) > maxQuotedText {
		text = strings.ToValidUTF8(text[:maxQuotedText], "") + "…"
	}
	switch node.ShortTag() {
	case "!!int", "!!float":
		return "the number " + text
	case "!!bool":
		return "the value " + text
	}
	return fmt.Sprintf("the text %q", text)
}

// proposeValue returns the text to write if the value only lacks brackets or a key.
func proposeValue(key string, node *yaml.Node, t reflect.Type) string {
	switch {
	case t == durationType && node.ShortTag() == "!!int":
		return fmt.Sprintf("; write the unit, as in %ss", node.Value)
	case t.Kind() == reflect.Slice && node.Kind == yaml.ScalarNode && t.Elem().Kind() != reflect.Struct && len(node.Value) <= maxQuotedText:
		return fmt.Sprintf("; write %s: [%s]", key, quoteIfNeeded(node))
	case t.Kind() == reflect.Slice && node.Kind == yaml.MappingNode && len(node.Content) == 2 && node.Content[1].Kind == yaml.SequenceNode:
		return fmt.Sprintf("; join the names by a dot: %s.%s: [VALUE]", key, node.Content[0].Value)
	case t.Kind() == reflect.Slice && node.Kind == yaml.MappingNode && t.Elem().Kind() == reflect.Struct:
		return "; begin the entry with -"
	case t.Kind() == reflect.Struct && node.Kind == yaml.ScalarNode && len(node.Value) <= maxQuotedText:
		names := slices.Sorted(maps.Keys(fieldsOf(t)))
		for _, usual := range []string{"path", "file", "local"} {
			if slices.Contains(names, usual) {
				return fmt.Sprintf("; write {%s: %s}", usual, quoteIfNeeded(node))
			}
		}
	}
	return ""
}

// quoteIfNeeded returns the text as it is written in a list.
func quoteIfNeeded(node *yaml.Node) string {
	if strings.ContainsAny(node.Value, "{}[],*&#:'\"") {
		return fmt.Sprintf("%q", node.Value)
	}
	return node.Value
}

// convertDays rewrites a duration with days, such as 7d, in hours, which the library
// reads. Any other text stays as it is.
func convertDays(node *yaml.Node) {
	if d, err := duration.Parse(node.Value); err == nil && node.ShortTag() == "!!str" {
		node.Value = d.String()
	}
}
