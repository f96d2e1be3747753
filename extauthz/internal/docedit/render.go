package docedit

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// newNode is the tree of a value to add.
func newNode(value any) *Node {
	switch v := value.(type) {
	case string:
		return &Node{Kind: Text, Value: v}
	case bool:
		return &Node{Kind: Bool, Value: fmt.Sprint(v)}
	case int:
		return &Node{Kind: Number, Value: fmt.Sprint(v)}
	case []Pair:
		n := &Node{Kind: Object}
		for _, p := range v {
			n.Members = append(n.Members, Member{Key: newNode(p.Key), Value: newNode(p.Value)})
		}
		return n
	case []any:
		n := &Node{Kind: List}
		for _, item := range v {
			n.Items = append(n.Items, newNode(item))
		}
		return n
	}
	panic(fmt.Sprintf("docedit: a value of type %T", value)) // a mistake in this program
}

// splitEntries gives the entries of a collection, each as a value that renderFlow writes without brackets.
func splitEntries(value any) (entries []any) {
	switch v := value.(type) {
	case []any:
		return v
	case []Pair:
		for _, p := range v {
			entries = append(entries, p)
		}
	}
	return entries
}

// renderFlow writes a value in brackets. With lines, each entry of a JSON value has a line; indent is the
// indentation of the line where the value begins.
func (f *File) renderFlow(value any, indent string, lines bool) string {
	colon, comma := ": ", ", "
	if f.isCompact() {
		colon, comma = ":", ","
	}
	switch v := value.(type) {
	case Pair:
		return f.renderScalar(v.Key) + colon + f.renderFlow(v.Value, indent, lines)
	case []Pair, []any:
		brackets := "{}"
		if _, isList := v.([]any); isList {
			brackets = "[]"
		}
		start, end, inner := "", "", indent
		if lines && f.json {
			inner = indent + f.indentUnit()
			start, end, comma = f.lineEnd()+inner, f.lineEnd()+indent, ","+f.lineEnd()+inner
		}
		var parts []string
		for _, entry := range splitEntries(v) {
			parts = append(parts, f.renderFlow(entry, inner, lines))
		}
		return brackets[:1] + start + strings.Join(parts, comma) + end + brackets[1:]
	default:
		return f.renderScalar(v)
	}
}

func (f *File) renderScalar(value any) string {
	if f.json {
		return quote(value)
	}
	return yamlScalar(value)
}

func quote(value any) string {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(value) // a string, a bool or an int: there is no error
	return strings.TrimSuffix(text.String(), "\n")
}

// plainText is a text that YAML reads as the same text without quotes.
var plainText = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// otherwiseRead are texts that a YAML parser reads as another kind of value.
var otherwiseRead = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|y|n|null)$`)

// durationText begins with a digit and is no number.
var durationText = regexp.MustCompile(`^[0-9][0-9.]*s$`)

func yamlScalar(value any) string {
	text, isText := value.(string)
	if isText && (plainText.MatchString(text) && !otherwiseRead.MatchString(text) || durationText.MatchString(text)) {
		return text
	}
	return quote(value)
}

// blockStyle is how far YAML's blocks are indented below the key that holds them.
type blockStyle struct{ mapping, list int }

// blockStyle gives the style of the file: that of the first block of each kind.
func (f *File) blockStyle() blockStyle {
	if f.style == nil {
		style := blockStyle{mapping: -1, list: -1}
		for _, document := range f.Documents {
			style.find(document)
		}
		if style.mapping < 1 {
			style.mapping = 2
		}
		if style.list < 0 {
			style.list = style.mapping
		}
		f.style = &style
	}
	return *f.style
}

func (s *blockStyle) find(n *Node) {
	for _, item := range n.Items {
		s.find(item)
	}
	for _, m := range n.Members {
		if child := m.Value; n.block && child.block && child.Column > 0 {
			switch {
			case child.Kind == Object && s.mapping < 0:
				s.mapping = child.Column - n.Column
			case child.Kind == List && s.list < 0:
				s.list = child.Column - n.Column
			}
		}
		if s.mapping < 0 || s.list < 0 {
			s.find(m.Value)
		}
	}
}

// renderBlock writes the entries of a collection in YAML's block style, one or more lines for each.
func (f *File) renderBlock(value any, indent string) string {
	var out strings.Builder
	switch v := value.(type) {
	case []Pair:
		for _, p := range v {
			out.WriteString(indent + yamlScalar(p.Key) + ":" + f.renderBlockValue(p.Value, indent))
		}
	case []any:
		for _, item := range v {
			switch item.(type) {
			case []Pair, []any:
				out.WriteString(indent + "- " + strings.TrimPrefix(f.renderBlock(item, indent+"  "), indent+"  "))
			default:
				out.WriteString(indent + "- " + yamlScalar(item) + "\n")
			}
		}
	}
	return out.String()
}

func (f *File) renderBlockValue(value any, indent string) string {
	style := f.blockStyle()
	switch value.(type) {
	case []Pair:
		return "\n" + f.renderBlock(value, indent+strings.Repeat(" ", style.mapping))
	case []any:
		return "\n" + f.renderBlock(value, indent+strings.Repeat(" ", style.list))
	}
	return " " + yamlScalar(value) + "\n"
}
