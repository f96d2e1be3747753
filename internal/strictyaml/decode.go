package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/suggest"
)

// Decode fills a pointer to a struct with yaml tags, and returns all values that
// do not fit. A key that is present without a value is a problem: it would
// otherwise count as absent.
func (d *Document) Decode(into any) Problems {
	shapes := shapeCheck{unreadable: map[*yaml.Node]bool{}}
	maps.Copy(shapes.unreadable, d.unexpanded)
	shapes.checkValue("", d.root, reflect.TypeOf(into).Elem())
	problems := shapes.problems
	d.unreadable = shapes.unreadable
	var typeError *yaml.TypeError
	switch err := d.root.Decode(into); {
	case errors.As(err, &typeError):
		problems.addUnlessKnown(typeError.Errors...)
	case err != nil:
		problems.addUnlessKnown(err.Error())
	}
	return problems
}

// addUnlessKnown adds problems that the library found, unless the line has a problem already:
// shapeCheck reports the same with key and column.
func (p *Problems) addUnlessKnown(messages ...string) {
	known := make(map[int]bool, len(*p))
	for _, problem := range *p {
		known[problem.Line] = true
	}
	for _, message := range messages {
		found := rewordError(message)
		if known[found.Line] || found.Line == 0 && len(*p) > 0 {
			continue
		}
		known[found.Line] = true
		*p = append(*p, found)
	}
}

// EmptyValues finds the lists, mappings and texts that are present and empty, for
// documents where absent and empty would mean opposite things.
func (d *Document) EmptyValues() Problems {
	var problems Problems
	visitValues(d.root, func(key string, value *yaml.Node) {
		if len(value.Content) == 0 && value.Value == "" && !isNull(value) {
			problems.Add(positionOf(value), "%s is empty: remove it or give it a value", key)
		}
	})
	return problems
}

func visitValues(node *yaml.Node, visit func(key string, value *yaml.Node)) {
	for i, c := range node.Content {
		switch {
		case node.Kind == yaml.SequenceNode:
			visit(fmt.Sprintf("entry %d", i+1), c)
		case i%2 == 1:
			visit(node.Content[i-1].Value, c)
		}
		visitValues(c, visit)
	}
}

// shapeCheck compares values with the Go types that they are read into. The
// library's own check names neither key nor column, and ignores unknown keys.
type shapeCheck struct {
	at         Path // of the value that is being compared
	problems   Problems
	unreadable map[*yaml.Node]bool
}

// checkBelow compares the value at a step below the present one, and notes its path in the problems
// that it finds.
func (s *shapeCheck) checkBelow(step any, check func()) {
	outer, before := s.at, len(s.problems)
	s.at = append(outer, step) // a stack: a later step overwrites it
	check()
	for i := before; i < len(s.problems); i++ {
		if s.problems[i].Key == "" {
			s.problems[i].Key = s.at.String()
		}
	}
	s.at = outer
}

func (s *shapeCheck) checkValue(key string, node *yaml.Node, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == durationType {
		convertDays(node)
	}
	if node.Kind == yaml.MappingNode {
		s.checkKeysOnce(node)
	}
	switch {
	case readsItself(t):
		s.checkOwnReader(key, node, t)
	case !hasShape(node, t):
		s.unreadable[node] = true
		s.problems.Add(positionOf(node), "%s", wrongShape(key, node, t))
	case node.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		for i, c := range node.Content {
			s.checkBelow(i, func() { s.checkPresent(fmt.Sprintf("entry %d of %s", i+1, key), c, t.Elem()) })
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		for i := 0; i+1 < len(node.Content); i += 2 {
			name, value := node.Content[i].Value, node.Content[i+1]
			s.checkBelow(name, func() { s.checkPresent(name, value, t.Elem()) })
		}
	case node.Kind == yaml.MappingNode && t.Kind() == reflect.Struct:
		s.checkFields(node, fieldsOf(t))
	}
}

// checkKeysOnce rejects a second value of a key. The library then reads nothing of the mapping.
func (s *shapeCheck) checkKeysOnce(node *yaml.Node) {
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key := node.Content[i]
		if line, twice := lines[key.Value]; twice && key.Kind == yaml.ScalarNode {
			s.unreadable[node] = true
			s.problems.Add(positionOf(key), "key %q is in line %d too: keep one of them", key.Value, line)
			continue
		}
		lines[key.Value] = key.Line
	}
}

// checkOwnReader lets a type read a value itself, and reports its errors. They name a line
// at most; those about the value itself get its place and key.
func (s *shapeCheck) checkOwnReader(key string, node *yaml.Node, t reflect.Type) {
	err := node.Decode(reflect.New(t).Interface())
	if err == nil {
		return
	}
	s.unreadable[node] = true
	messages := []string{err.Error()}
	if typeError := (*yaml.TypeError)(nil); errors.As(err, &typeError) {
		messages = typeError.Errors
	}
	for _, message := range messages {
		p := rewordError(message)
		if p.Line == 0 || p.Line == node.Line {
			at := positionOf(node)
			p.Line, p.Column = at.Line, at.Column
			if !strings.Contains(p.Message, key+":") {
				p.Message = key + ": " + p.Message
			}
		}
		s.problems = append(s.problems, p)
	}
}

// readsItself reports whether a type reads YAML or text by a method of its own.
func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[yaml.Unmarshaler]()) || t != timeType && p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func (s *shapeCheck) checkFields(node *yaml.Node, known map[string]reflect.StructField) {
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		field, ok := known[key.Value]
		if !ok {
			names := slices.Sorted(maps.Keys(known))
			s.checkBelow(key.Value, func() {
				s.problems.Add(positionOf(key), "unknown key %q%s; known here: %s", key.Value, suggest.DidYouMean(key.Value, names), strings.Join(names, ", "))
			})
			continue
		}
		s.checkBelow(key.Value, func() { s.checkPresent(key.Value, value, field.Type) })
	}
}

func (s *shapeCheck) checkPresent(key string, value *yaml.Node, t reflect.Type) {
	if isNull(value) {
		s.problems.Add(positionOf(value), "%s has no value: remove it or give it one", key)
		return
	}
	before := len(s.problems)
	if checkNumbers(value, t, &s.problems); len(s.problems) > before {
		s.unreadable[value] = true
		return
	}
	s.checkValue(key, value, t)
}

func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	known := map[string]reflect.StructField{}
	for i := 0; i < t.NumField(); i++ {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "" && name != "-" {
			known[name] = t.Field(i)
		}
	}
	return known
}

// rewordError puts a message of the library into words for people who write YAML.
// It is for errors that shapeCheck does not find, such as those of types that read themselves.
func rewordError(message string) Problem {
	p := splitLine(message)
	if duplicate := duplicateKey.FindStringSubmatch(p.Message); duplicate != nil {
		p.Message = fmt.Sprintf("key %s is in line %s too: keep one of them", duplicate[1], duplicate[2])
	}
	return p
}

var duplicateKey = regexp.MustCompile(`^mapping key (".*") already defined at line (\d+)$`)
