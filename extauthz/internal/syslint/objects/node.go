// Package objects reads what `meshpass lint` checks: files, folders, standard input, kustomize overlays and clusters. It
// gives Kubernetes objects and the files that they hold, with the place of each value. It names everything that it cannot read.
package objects

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Kind is the kind of a value.
type Kind uint8

// The kinds of values.
const (
	Null Kind = iota
	Bool
	Number
	Text
	List
	Map
)

// Node is a value of a document. All methods accept a nil Node, which is an absent value.
type Node struct {
	Kind         Kind
	Key          string // of a member
	Value        string // of a scalar, as text
	Line, Column int32  // from 1, in the text of the document; 0: unknown
	Items        []*Node

	parent   *Node
	document *Document // of the root alone
}

// Document is a text with one value.
type Document struct {
	Source  string // the file, the overlay or the context
	Object  string // such as ConfigMap edge/tyk-apis; empty: the text is no Kubernetes object
	Key     string // of the ConfigMap that holds the text; empty: no ConfigMap
	text    []byte // of the document alone
	line    int    // lines before it in the file or key
	outer   *Node  // the text in the ConfigMap
	inBlock bool   // the text begins in the line after outer
	marked  bool   // the text begins with a byte order mark
	isYAML  bool   // the document is no JSON
}

// Find gives the value of a member; nil: it is absent. A name that differs by the case of letters is another name.
func (n *Node) Find(key string) *Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	for _, m := range n.Items {
		if m.Key == key {
			return m
		}
	}
	return nil
}

// FindPath gives the value at the end of a path of members.
func (n *Node) FindPath(keys ...string) *Node {
	for _, key := range keys {
		n = n.Find(key)
	}
	return n
}

// FindFold is [Node.FindPath] without regard to the case of letters, as Go's JSON decoder reads members: the last one that fits counts.
func (n *Node) FindFold(keys ...string) *Node {
	for _, key := range keys {
		var found *Node
		for _, m := range n.Members() {
			if strings.EqualFold(m.Key, key) {
				found = m
			}
		}
		n = found
	}
	return n
}

// Members are the values of a map, with their keys.
func (n *Node) Members() []*Node {
	if n == nil || n.Kind != Map {
		return nil
	}
	return n.Items
}

// Entries are the values of a list.
func (n *Node) Entries() []*Node {
	if n == nil || n.Kind != List {
		return nil
	}
	return n.Items
}

// String is the text of a scalar; "" for everything else.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	return n.Value
}

// Int is a whole number, also one that is written as text; 0: it is no number.
func (n *Node) Int() int {
	value, err := strconv.Atoi(n.String())
	if err != nil {
		return 0
	}
	return value
}

// IsTrue reports the value true.
func (n *Node) IsTrue() bool { return n != nil && n.Kind == Bool && n.Value == "true" }

// IsFalse reports the value false.
func (n *Node) IsFalse() bool { return n != nil && n.Kind == Bool && n.Value == "false" }

// IsEmpty reports an absent value, null, and an empty text or collection.
func (n *Node) IsEmpty() bool {
	return n == nil || n.Kind == Null || n.Value == "" && len(n.Items) == 0
}

// Texts are the texts of a list, or the one text.
func (n *Node) Texts() []string {
	if n == nil {
		return nil
	}
	if n.Kind == Text {
		return []string{n.Value}
	}
	var all []string
	for _, item := range n.Entries() {
		all = append(all, item.Value)
	}
	return all
}

// WithValue is the value at the same place with another text, such as a part of it.
func (n *Node) WithValue(text string) *Node {
	part := *n
	part.Value = text
	return &part
}

// Plain gives the value as encoding/json does.
func (n *Node) Plain() any {
	switch {
	case n == nil || n.Kind == Null:
		return nil
	case n.Kind == Bool:
		return n.Value == "true"
	case n.Kind == Number:
		if number, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return number
		}
		return n.Value
	case n.Kind == List:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Plain()
		}
		return list
	case n.Kind == Map:
		members := map[string]any{}
		for _, m := range n.Items {
			members[m.Key] = m.Plain()
		}
		return members
	}
	return n.Value
}

// TextMap gives the members as texts.
func (n *Node) TextMap() map[string]string {
	all := map[string]string{}
	for _, m := range n.Members() {
		all[m.Key] = m.Value
	}
	return all
}

// Walk visits a value and everything below it, until visit returns false for a value.
func (n *Node) Walk(visit func(*Node) bool) {
	if n == nil || !visit(n) {
		return
	}
	for _, item := range n.Items {
		item.Walk(visit)
	}
}

// Root is the value of the whole document.
func (n *Node) Root() *Node {
	for n.parent != nil {
		n = n.parent
	}
	return n
}

// Parent is the value that contains this one; nil: it is the root, or absent.
func (n *Node) Parent() *Node {
	if n == nil {
		return nil
	}
	return n.parent
}

// Path names the value below the root, such as spec.rules[0]; "" is the root.
func (n *Node) Path() string {
	var steps []string
	for ; n.parent != nil; n = n.parent {
		if n.parent.Kind == List {
			steps = append(steps, fmt.Sprintf("[%d]", slices.Index(n.parent.Items, n)))
			continue
		}
		key := "." + n.Key
		if strings.ContainsAny(n.Key, ".[]/ ") {
			key = fmt.Sprintf("[%q]", n.Key)
		}
		steps = append(steps, key)
	}
	slices.Reverse(steps)
	return strings.TrimPrefix(strings.Join(steps, ""), ".")
}

// Place is where a value is.
type Place struct {
	Source string `json:"source"` // the file, the overlay or the context
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	Object string `json:"object,omitempty"` // such as ConfigMap edge/tyk-apis
	Path   string `json:"path,omitempty"`   // below the object, or below the text of the key

	Key       string `json:"key,omitempty"` // of the ConfigMap
	KeyLine   int    `json:"keyLine,omitempty"`
	KeyColumn int    `json:"keyColumn,omitempty"`
}

// Place is the place of the value. An absent value is somewhere in the input.
func (n *Node) Place() Place {
	if n == nil {
		return Place{Source: "the input"}
	}
	d := n.Root().document
	p := Place{Source: d.Source, Object: d.Object, Path: n.Path(), Line: int(n.Line), Column: int(n.Column)}
	if d.outer == nil {
		return p
	}
	p.Key, p.KeyLine, p.KeyColumn = d.Key, p.Line, p.Column
	outer := d.outer.Place()
	p.Line, p.Column = outer.Line, outer.Column
	if d.inBlock && p.Line > 0 {
		p.Line, p.Column = p.Line+p.KeyLine, 1
	}
	return p
}

// String is the place for people: FILE:LINE:COLUMN, the object, and the place in the file that a ConfigMap holds.
func (p Place) String() string {
	text := p.Source
	if p.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d", p.Source, p.Line, max(p.Column, 1))
	}
	switch {
	case p.Key != "":
		text += fmt.Sprintf(": %s, %s", p.Object, p.Key)
		if p.KeyLine > 0 {
			text += fmt.Sprintf(":%d:%d", p.KeyLine, max(p.KeyColumn, 1))
		}
	case p.Object != "":
		text += ": " + p.Object
		if p.Line == 0 && p.Path != "" {
			text += " " + p.Path
		}
	}
	return text
}
