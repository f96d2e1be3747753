// Package docedit adds members and entries to JSON and YAML files at their place in the text, so that every other byte stays
// as it is: comments, the order of members, indentation, line ends.
//
// An edit changes the text and the tree. [File.Apply] reads the new text again and compares it with the tree: an edit
// that the form of a file does not permit is an error and never a damaged file.
package docedit

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// MaxBytes is the largest size of a file.
const MaxBytes = 16 << 20

// Kind is the kind of a node.
type Kind int

// The kinds. Alias is a reference to another part of a YAML file; nothing is read or changed through it.
const (
	Null Kind = iota
	Bool
	Number
	Text
	List
	Object
	Alias
)

// Node is a value of a file.
type Node struct {
	Kind         Kind
	Value        string // of a scalar, as text
	Line, Column int    // from 1
	Items        []*Node
	Members      []Member

	start, end int  // bytes of the text; of a block, end is the start of the line after its last entry; 0: unknown
	block      bool // a list or an object in YAML's block style
	literal    bool // a text in YAML's literal style
	commented  bool // a comment is after the last entry of a collection in brackets
	anchored   bool // other parts of the file refer to it
}

// Member is a member of an object.
type Member struct {
	Key   *Node
	Value *Node
}

// Find gives the value of a member; nil: the object has no such member, or it is no object.
func (n *Node) Find(key string) *Node {
	if n == nil {
		return nil
	}
	for _, m := range n.Members {
		if m.Key.Value == key {
			return m.Value
		}
	}
	return nil
}

// FindPath gives the value at the end of a path of members; nil: a member is missing.
func (n *Node) FindPath(keys ...string) *Node {
	for _, key := range keys {
		n = n.Find(key)
	}
	return n
}

// IsEmpty reports whether nothing is set: no value, null, or an empty collection or text.
func (n *Node) IsEmpty() bool {
	return n == nil || n.Kind == Null || n.Kind != Alias && n.Value == "" && len(n.Items)+len(n.Members) == 0
}

// IsTrue reports whether the value is true.
func (n *Node) IsTrue() bool { return n != nil && n.Kind == Bool && n.Value == "true" }

// String gives the text of a scalar; "" for everything else.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	return n.Value
}

// File is a file that is read and edited. A YAML file can hold several documents.
type File struct {
	Name      string
	Documents []*Node

	bom   []byte // the mark before the text, or nothing
	text  []byte
	json  bool
	edits []edit
	style *blockStyle // of the file as it was read; nil: not determined yet
}

// edit replaces a part of the text.
type edit struct {
	from, to int
	text     string
}

// byteOrderMark is what some editors write before UTF-8. It is kept.
var byteOrderMark = []byte("\uFEFF")

// Parse reads a file: JSON if its first character is { or [, else YAML.
// Errors: [strictyaml.Problems].
func Parse(name string, text []byte) (*File, error) {
	body := bytes.TrimPrefix(text, byteOrderMark)
	trimmed := bytes.TrimSpace(body)
	f := &File{Name: name, bom: text[:len(text)-len(body)], text: body, json: bytes.HasPrefix(trimmed, []byte("{")) || bytes.HasPrefix(trimmed, []byte("["))}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("%s: %d bytes; want at most %d", name, len(text), MaxBytes)
	}
	var err error
	if f.json {
		f.Documents, err = parseJSON(body)
	} else {
		f.Documents, err = parseYAML(body)
	}
	if err != nil {
		return nil, f.locate(err)
	}
	return f, nil
}

// Errorf gives a problem at a node.
func (f *File) Errorf(n *Node, format string, args ...any) error {
	return f.locate(errorAt(n.Line, n.Column, format, args...))
}

// placedError is an error at a place of a text.
type placedError struct {
	line, column int
	text         string
}

func (e *placedError) Error() string { return e.text }

func errorAt(line, column int, format string, args ...any) error {
	return &placedError{line: line, column: column, text: fmt.Sprintf(format, args...)}
}

// locate adds the name of the file.
func (f *File) locate(err error) error {
	var placed *placedError
	if !errors.As(err, &placed) {
		return fmt.Errorf("%s: %w", f.Name, err)
	}
	return strictyaml.Problems{{File: f.Name, Position: strictyaml.Position{Line: placed.line, Column: placed.column}, Message: placed.text}}
}

// Pair is a member to add. The value is a string, a bool, an int, []Pair (an object) or []any (a list).
type Pair struct {
	Key   string
	Value any
}

// AddMembers adds members at the end of an object. key is the member of parent that holds the object; "" is parent itself. An
// object that is absent, null or empty is created.
func (f *File) AddMembers(parent *Node, key string, pairs ...Pair) error {
	return f.extendMember(parent, key, Object, pairs, false)
}

// AddItem adds an entry to a list, at the end or at the front. key is the member of parent that holds the list; a list that is
// absent, null or empty is created.
func (f *File) AddItem(parent *Node, key string, item any, atFront bool) error {
	return f.extendMember(parent, key, List, []any{item}, atFront)
}

// AddItems adds entries at the end of a list, as [File.AddItem] does.
func (f *File) AddItems(parent *Node, key string, items []any) error {
	return f.extendMember(parent, key, List, items, false)
}

func (f *File) extendMember(parent *Node, key string, kind Kind, value any, atFront bool) error {
	if parent.anchored {
		return f.Errorf(parent, "it has an anchor, and every alias would change too: write the parts without anchor and alias")
	}
	if key == "" {
		return f.addTo(parent, value, atFront)
	}
	child := parent.Find(key)
	switch {
	case child == nil:
		return f.addTo(parent, []Pair{{Key: key, Value: value}}, false)
	case child.anchored:
		return f.Errorf(child, "%s: it has an anchor, and every alias would change too: write the parts without anchor and alias", key)
	case child.IsEmpty() && (child.Kind == Null || child.Kind == kind):
		return f.fillEmpty(parent, child, value)
	case child.Kind != kind:
		return f.Errorf(child, "%s: want %s", key, map[Kind]string{Object: "an object", List: "a list"}[kind])
	default:
		return f.addTo(child, value, atFront)
	}
}

// addTo adds to a collection that is not empty.
func (f *File) addTo(n *Node, value any, atFront bool) error {
	if n.IsEmpty() {
		return f.Replace(n, value)
	}
	added := newNode(value)
	switch {
	case n.anchored || n.end <= n.start:
		return f.Errorf(n, "the value cannot be extended here: write it without anchor, tag and alias")
	case n.commented && !atFront:
		return f.Errorf(n, "a comment is before the closing bracket: move it, so that it stays with its entry")
	case n.block:
		indent := strings.Repeat(" ", n.Column-1)
		text := f.withLineEnds(f.renderBlock(value, indent))
		at := n.end
		if atFront {
			at = n.start - len(indent)
			if strings.Trim(string(f.text[max(at, 0):n.start]), " ") != "" || at < 0 {
				return f.Errorf(n, "the first entry of the list must be on a line of its own")
			}
		} else if at > 0 && f.text[at-1] != '\n' {
			text = f.lineEnd() + strings.TrimSuffix(text, f.lineEnd())
		}
		f.edits = append(f.edits, edit{from: at, to: at, text: text})
	default:
		f.addToFlow(n, value, atFront)
	}
	if atFront {
		n.Items = append(added.Items, n.Items...)
	} else {
		n.Items = append(n.Items, added.Items...)
	}
	n.Members = append(n.Members, added.Members...)
	return nil
}

// addToFlow adds to a collection in brackets.
func (f *File) addToFlow(n *Node, value any, atFront bool) {
	first, last := n.start+1, n.end-1 // between the brackets
	for first < last && isSpace(f.text[first]) {
		first++
	}
	for last > first && isSpace(f.text[last-1]) {
		last--
	}
	before := string(f.text[n.start+1 : first])
	separator := " "
	if strings.Contains(before, "\n") { // each entry has a line
		separator = f.lineEnd() + before[strings.LastIndex(before, "\n")+1:]
	} else if f.isCompact() {
		separator = ""
	}
	indent := before[strings.LastIndex(before, "\n")+1:]
	var parts []string
	for _, part := range splitEntries(value) {
		parts = append(parts, f.renderFlow(part, indent, strings.Contains(before, "\n")))
	}
	text := strings.Join(parts, ","+separator)
	if atFront {
		f.edits = append(f.edits, edit{from: first, to: first, text: text + "," + separator})
		return
	}
	if f.text[last-1] != ',' { // YAML permits a comma at the end
		text = "," + separator + text
	} else {
		text = separator + text
	}
	f.edits = append(f.edits, edit{from: last, to: last, text: text})
}

// fillEmpty gives an empty member its content: in lines of their own if the members of its parent have lines, and nothing else is in
// the line of the empty value.
func (f *File) fillEmpty(parent, n *Node, value any) error {
	rest, _, _ := bytes.Cut(f.text[n.end:], []byte("\n"))
	if f.json || !parent.block || len(bytes.TrimSpace(rest)) > 0 {
		return f.Replace(n, value)
	}
	indent := strings.Repeat(" ", parent.Column-1+f.blockStyle().mapping)
	if _, isList := value.([]any); isList {
		indent = strings.Repeat(" ", parent.Column-1+f.blockStyle().list)
	}
	before := bytes.TrimRight(f.text[:n.start], " ")
	text := f.lineEnd() + strings.TrimSuffix(f.withLineEnds(f.renderBlock(value, indent)), f.lineEnd())
	f.replaceWith(n, value, edit{from: len(before), to: n.end, text: text})
	return nil
}

// replaceWith records the edit that gives a node a new value.
func (f *File) replaceWith(n *Node, value any, e edit) {
	f.edits = append(f.edits, e)
	line, column := n.Line, n.Column
	*n = *newNode(value)
	n.Line, n.Column = line, column
}

// Replace replaces a value. Comments in the old one are lost.
func (f *File) Replace(n *Node, value any) error {
	if n.anchored || n.end == 0 && n.start == 0 {
		return f.Errorf(n, "the value cannot be replaced here: write it without anchor, tag and alias")
	}
	text := ""
	if n.block {
		indent := strings.Repeat(" ", n.Column-1)
		text = strings.TrimPrefix(f.withLineEnds(f.renderBlock(value, indent)), indent)
		if n.end > 0 && f.text[n.end-1] != '\n' {
			text = strings.TrimSuffix(text, f.lineEnd())
		}
	} else {
		line := f.text[bytes.LastIndexByte(f.text[:n.start], '\n')+1 : n.start]
		indent := string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
		text = f.renderFlow(value, indent, f.json && !f.isOneLine())
		if n.start == n.end { // YAML's empty value, after the colon
			text = " " + text
		}
	}
	f.replaceWith(n, value, edit{from: n.start, to: n.end, text: text})
	return nil
}

// ReplaceLiteral replaces a text in YAML's literal style, such as a file in a ConfigMap. All lines keep the indentation of the old ones.
func (f *File) ReplaceLiteral(n *Node, text string) error {
	if !n.literal || n.anchored {
		return f.Errorf(n, "want a text in literal style (KEY: |), so that it can be edited in place")
	}
	lines := bytes.IndexByte(f.text[n.start:], '\n')
	if lines < 0 {
		return f.Errorf(n, "the text is empty")
	}
	from := n.start + lines + 1
	old := strings.TrimLeft(string(f.text[from:n.end]), "\r\n")
	indent := old[:len(old)-len(strings.TrimLeft(old, " "))]
	var out strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		if strings.TrimSpace(line) != "" {
			out.WriteString(indent)
		}
		out.WriteString(line)
	}
	rendered := f.withLineEnds(out.String())
	if body := f.text[from:n.end]; len(body) > 0 { // the line ends after the text stay
		rendered += string(body[len(bytes.TrimRight(body, "\r\n")):])
	}
	f.edits = append(f.edits, edit{from: from, to: n.end, text: rendered})
	n.Value = text
	return nil
}

// errChanged is the error of an edit that the form of the file does not permit.
var errChanged = errors.New("the file has a form in which it cannot be edited without a risk for its other parts: make the change by hand")

// Apply gives the text with all edits. Without edits it is the text as it was read.
func (f *File) Apply() ([]byte, error) {
	edits := slices.Clone(f.edits)
	slices.SortStableFunc(edits, func(a, b edit) int { return a.from - b.from })
	var out bytes.Buffer
	out.Write(f.bom)
	at := 0
	for _, e := range edits {
		if e.from < at {
			return nil, fmt.Errorf("%s: %w", f.Name, errChanged)
		}
		out.Write(f.text[at:e.from])
		out.WriteString(e.text)
		at = e.to
	}
	out.Write(f.text[at:])
	if len(edits) == 0 {
		return out.Bytes(), nil
	}
	again, err := Parse(f.Name, out.Bytes())
	if err != nil || !slices.EqualFunc(again.Documents, f.Documents, isEqual) {
		return nil, fmt.Errorf("%s: %w", f.Name, errChanged)
	}
	return out.Bytes(), nil
}

// isEqual compares the values of two trees, and the order of their members.
func isEqual(a, b *Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Items, b.Items, isEqual) &&
		slices.EqualFunc(a.Members, b.Members, func(a, b Member) bool { return isEqual(a.Key, b.Key) && isEqual(a.Value, b.Value) })
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// lineEnd is the end of the lines of the file.
func (f *File) lineEnd() string {
	if bytes.Contains(f.text, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

func (f *File) withLineEnds(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", f.lineEnd())
}

func (f *File) isOneLine() bool { return !bytes.Contains(bytes.TrimSpace(f.text), []byte("\n")) }

// isCompact reports whether a JSON file is written without spaces.
func (f *File) isCompact() bool {
	return f.json && f.isOneLine() && !bytes.Contains(f.text, []byte(`": `))
}

// indentUnit is the indentation of one level of a JSON file.
func (f *File) indentUnit() string {
	for line := range bytes.Lines(f.text) {
		if rest := bytes.TrimLeft(line, " \t"); len(rest) < len(line) && len(bytes.TrimSpace(line)) > 0 {
			return string(line[:len(line)-len(rest)])
		}
	}
	return "  "
}
