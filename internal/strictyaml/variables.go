package strictyaml

import (
	"bytes"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Environment variables may be named in the values of a closed list of keys: those whose field has
// the tag `env:"expand"`, which is for addresses and paths. Everywhere else a variable is a problem.
//
//	${NAME}   the value of the environment variable NAME: a capital letter, then capital letters, digits and _
//	$${       the text ${ itself
//
// A variable that is not set, or is empty, is a problem. A value is put into the decoded text and is
// not read again: it can be neither YAML nor the name of another variable. Secrets are not for
// variables, because messages may repeat the text of an address or a path.
const (
	variableTag = "env"
	expandValue = "expand"
)

var (
	variable = regexp.MustCompile(`^\$\{([A-Z][A-Z0-9_]*)\}`)
	// placeholder is how shells, Compose files and Kubernetes name a variable in a text.
	placeholder = regexp.MustCompile(`\$\{[^}]*\}?|\$\([A-Za-z_][A-Za-z0-9_]*\)`)
)

// Lookup gives the value of an environment variable, as [os.LookupEnv] does.
type Lookup func(name string) (value string, set bool)

// AnyVariable is the [Lookup] of a check that has another environment than the program that will read the file.
func AnyVariable(string) (value string, set bool) { return "variable", true }

// WithoutVariables leaves out the problems of lines that name an environment variable, for a check with [AnyVariable].
func WithoutVariables(data []byte, err error) error {
	lines := bytes.Split(data, []byte("\n"))
	return slices.DeleteFunc(AsProblems(err), func(p Problem) bool {
		return 0 < p.Line && p.Line <= len(lines) && bytes.Contains(lines[p.Line-1], []byte("${"))
	}).Err()
}

// VariableKeys lists the keys of a type in which variables are expanded, such as listeners[].grpc.
func VariableKeys(t reflect.Type) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer:
		return VariableKeys(t.Elem())
	case reflect.Slice:
		for _, key := range VariableKeys(t.Elem()) {
			keys = append(keys, "[]."+key)
		}
	case reflect.Struct:
		for name, field := range fieldsOf(t) {
			if isExpanded(field) {
				keys = append(keys, name)
			}
			for _, key := range VariableKeys(field.Type) {
				keys = append(keys, strings.Replace(name+"."+key, ".[]", "[]", 1))
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func isExpanded(field reflect.StructField) bool {
	return field.Type.Kind() == reflect.String && field.Tag.Get(variableTag) == expandValue
}

// expansion puts the values of variables into the texts of a document.
type expansion struct {
	document *Document
	keys     string // that may have variables
	lookup   func(name string) (string, bool)
	problems Problems
}

// expandVariables expands the variables of a document that is decoded into the type.
func (d *Document) expandVariables(t reflect.Type, lookup Lookup) Problems {
	d.unexpanded = map[*yaml.Node]bool{}
	e := expansion{document: d, keys: strings.Join(VariableKeys(t), ", "), lookup: lookup}
	e.visitValue(nil, d.root, t, false)
	return e.problems
}

// visitValue visits a value and those below it. The type is nil where the document has a value that
// the types do not know.
func (e *expansion) visitValue(at Path, node *yaml.Node, t reflect.Type, mayExpand bool) {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch node.Kind {
	case yaml.ScalarNode:
		if mayExpand {
			e.expandText(at, node)
		} else {
			e.rejectVariables(at, node)
		}
	case yaml.SequenceNode:
		var element reflect.Type
		if t != nil && t.Kind() == reflect.Slice {
			element = t.Elem()
		}
		for i, value := range node.Content {
			e.visitValue(at.With(i), value, element, false)
		}
	case yaml.MappingNode:
		var known map[string]reflect.StructField
		if t != nil && t.Kind() == reflect.Struct {
			known = fieldsOf(t)
		}
		for i := 0; i+1 < len(node.Content); i += 2 {
			field := known[node.Content[i].Value]
			e.visitValue(at.With(node.Content[i].Value), node.Content[i+1], field.Type, field.Type != nil && isExpanded(field))
		}
	}
}

// rejectVariables is for keys without variables: such a value would be used as it is written.
func (e *expansion) rejectVariables(at Path, node *yaml.Node) {
	found := placeholder.FindString(node.Value)
	if found == "" {
		return
	}
	where := "no key of this file takes variables"
	if e.keys != "" {
		where = "variables are expanded only in " + e.keys
	}
	e.reject(at, node, "%.64s is not expanded here: write the value itself, or replace it before the program starts; %s", found, where)
}

func (e *expansion) expandText(at Path, node *yaml.Node) {
	text, err := expandVariables(node.Value, e.lookup)
	if err != nil {
		e.reject(at, node, "%s", err)
		text = "" // a text with half of its variables must not name a file
	}
	if text != node.Value {
		node.Value, node.Tag, node.Style = text, "!!str", yaml.DoubleQuotedStyle
	}
}

func (e *expansion) reject(at Path, node *yaml.Node, format string, args ...any) {
	e.document.unexpanded[node] = true
	message := fmt.Sprintf("%s: %s", at, fmt.Sprintf(format, args...))
	e.problems = append(e.problems, Problem{Position: positionOf(node), Key: at.String(), Message: message})
}

// expandVariables replaces the variables of a text, from left to right and once.
func expandVariables(text string, lookup func(string) (string, bool)) (string, error) {
	var expanded strings.Builder
	for rest := text; ; {
		found := placeholder.FindStringIndex(rest)
		if found == nil {
			expanded.WriteString(rest)
			return expanded.String(), nil
		}
		start := found[0]
		if start > 0 && rest[start-1] == '$' && rest[start+1] == '{' {
			expanded.WriteString(rest[:start-1] + "${")
			rest = rest[start+len("${"):]
			continue
		}
		name := variable.FindStringSubmatch(rest[start:])
		if name == nil {
			return "", fmt.Errorf("%.64s is no variable: write ${NAME}, with NAME in capital letters, digits and _, or $${ for the text ${ itself", rest[start:found[1]])
		}
		value, err := lookupVariable(name[1], lookup)
		if err != nil {
			return "", err
		}
		expanded.WriteString(rest[:start] + value)
		rest = rest[start+len(name[0]):]
	}
}

func lookupVariable(name string, lookup func(string) (string, bool)) (string, error) {
	value, set := lookup(name)
	switch {
	case !set:
		return "", fmt.Errorf("the environment variable %.64s is not set", name)
	case value == "":
		return "", fmt.Errorf("the environment variable %.64s is empty", name)
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return "", fmt.Errorf("the environment variable %.64s has a line break, another control character, or bytes that are not UTF-8", name)
	}
	return value, nil
}
