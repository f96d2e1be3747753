package strictyaml

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"gopkg.in/yaml.v3"
)

// Decode fills into, a pointer to a struct with yaml tags, and returns all that
// does not fit. A key that is present without a value is a problem: it would
// otherwise read as absent.
func (d *Document) Decode(into any) Problems {
	var problems Problems
	checkKnown(d.root, reflect.TypeOf(into).Elem(), &problems)
	convertDays(d.root, reflect.TypeOf(into).Elem())
	var typeError *yaml.TypeError
	switch err := d.root.Decode(into); {
	case errors.As(err, &typeError):
		for _, message := range typeError.Errors {
			problems = append(problems, messageProblem(readable(message)))
		}
	case err != nil:
		problems = append(problems, messageProblem(readable(err.Error())))
	}
	return problems
}

// Empty finds the lists, mappings and texts that are present and empty, for
// documents in which absent and empty would mean opposite things.
func (d *Document) Empty() Problems {
	var problems Problems
	walk(d.root, func(key string, value *yaml.Node) {
		if len(value.Content) == 0 && value.Value == "" && !isNull(value) {
			problems.Add(position(value), "%s is empty: remove it or give it a value", key)
		}
	})
	return problems
}

func walk(node *yaml.Node, visit func(key string, value *yaml.Node)) {
	for i, c := range node.Content {
		switch {
		case node.Kind == yaml.SequenceNode:
			visit(fmt.Sprintf("entry %d", i+1), c)
		case i%2 == 1:
			visit(node.Content[i-1].Value, c)
		}
		walk(c, visit)
	}
}

// checkKnown compares the keys of mappings with the fields of structs. The
// library's own check loses the column, and does not reach below custom types.
func checkKnown(node *yaml.Node, t reflect.Type, problems *Problems) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	custom := reflect.PointerTo(t).Implements(reflect.TypeFor[yaml.Unmarshaler]())
	switch {
	case custom:
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, c := range node.Content {
			checkValue(fmt.Sprintf("entry %d", i+1), c, t.Elem(), problems)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(node.Content); i += 2 {
			checkValue(node.Content[i].Value, node.Content[i+1], t.Elem(), problems)
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		checkFields(node, fields(t), problems)
	}
}

func checkFields(node *yaml.Node, known map[string]reflect.Type, problems *Problems) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		t, ok := known[key.Value]
		if !ok {
			problems.Add(position(key), "unknown key %q; known here: %s", key.Value, names(known))
			continue
		}
		checkValue(key.Value, value, t, problems)
	}
}

func checkValue(key string, value *yaml.Node, t reflect.Type, problems *Problems) {
	if isNull(value) {
		problems.Add(position(value), "%s has no value: remove it or give it one", key)
		return
	}
	checkNumbers(value, t, problems)
	checkKnown(value, t, problems)
}

func fields(t reflect.Type) map[string]reflect.Type {
	known := map[string]reflect.Type{}
	for i := 0; i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			known[name] = t.Field(i).Type
		}
	}
	return known
}

func names(known map[string]reflect.Type) string {
	list := make([]string, 0, len(known))
	for name := range known {
		list = append(list, name)
	}
	sort.Strings(list)
	return strings.Join(list, ", ")
}

var readableType = strings.NewReplacer(
	"cannot unmarshal", "cannot read", "!!str ", "the text ", "!!int ", "the number ", "!!float ", "the number ",
	"!!bool ", "the value ", "!!seq", "a list", "!!map", "a mapping",
	"into string", "as a text", "into []string", "as a list of texts", "into int", "as a number",
	"into bool", "as true or false", "into float64", "as a number", "into time.Duration", "as a duration such as 30s or 7d",
)

// readable rewords the library's messages for people who write YAML, not Go.
func readable(message string) string {
	message = readableType.Replace(message)
	if before, _, goType := strings.Cut(message, " into "); goType {
		return before + " here: a mapping or list of another shape is expected"
	}
	return message
}
