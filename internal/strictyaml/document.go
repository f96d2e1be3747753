// Package strictyaml reads YAML without guesses, and ignores nothing:
// unknown keys, keys given twice, empty values, wrong types and
// trailing documents are problems. All of them are reported together, each with
// its line and column. A [Checker] does the same for the values of a configuration.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Document is one parsed YAML document that is not empty.
type Document struct {
	root       *yaml.Node
	unreadable map[*yaml.Node]bool // values that Decode could not read
	unexpanded map[*yaml.Node]bool // values with variables that were not expanded
}

// Parse reads data that must hold exactly one document.
func Parse(data []byte) (*Document, error) {
	docs, err := ParseAll(data)
	if err != nil {
		return nil, err
	}
	if len(docs) > 1 {
		return nil, problemAt(docs[1].root, "a second document: one is expected")
	}
	return docs[0], nil
}

// ParseAll reads a stream of documents; there is at least one, and an empty one is a problem.
func ParseAll(data []byte) ([]*Document, error) {
	var docs []*Document
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, Problems{DiagnoseSyntax(data, err)}
		}
		if len(node.Content) == 0 || isNull(node.Content[0]) {
			return nil, problemAt(&node, "an empty document: remove the --- above it, or write the document")
		}
		if large := findLargeMapping(&node); large != nil {
			return nil, problemAt(large, fmt.Sprintf("a mapping with more than %d keys", maxKeys))
		}
		if alias := findAlias(&node); alias != nil {
			return nil, problemAt(alias, "anchors, aliases and merge keys are not read: write the value out")
		}
		docs = append(docs, &Document{root: node.Content[0]})
	}
	if len(docs) == 0 {
		return nil, Problems{{Message: "the file is empty"}}
	}
	return docs, nil
}

// PositionOf returns the place of the value under a path of keys (string) and indices
// (int), or of the nearest value above it that exists.
func (d *Document) PositionOf(path ...any) Position {
	node, _ := d.findNode(path)
	return positionOf(node)
}

// Keys are the keys of the document, in their order. A document that is not a mapping has no keys.
func (d *Document) Keys() (keys []string) {
	for i := 0; d.root.Kind == yaml.MappingNode && i+1 < len(d.root.Content); i += 2 {
		keys = append(keys, d.root.Content[i].Value)
	}
	return keys
}

// Has reports whether there is a value under the path.
func (d *Document) Has(path ...any) bool {
	_, found := d.findNode(path)
	return found
}

// Unreadable reports whether Decode could not read the value under the path, a value
// below it, or one above it. The decoded value then differs from the file, so a
// check of it would mislead.
func (d *Document) Unreadable(path ...any) bool {
	node := d.root
	for _, step := range path {
		if d.unreadable[node] {
			return true
		}
		next := findChild(node, step)
		if next == nil {
			return false
		}
		node = next
	}
	return d.unreadableBelow(node)
}

func (d *Document) unreadableBelow(node *yaml.Node) bool {
	return d.unreadable[node] || slices.ContainsFunc(node.Content, d.unreadableBelow)
}

func (d *Document) findNode(path []any) (node *yaml.Node, found bool) {
	node = d.root
	for _, step := range path {
		next := findChild(node, step)
		if next == nil {
			return node, false
		}
		node = next
	}
	return node, true
}

func findChild(node *yaml.Node, step any) *yaml.Node {
	switch step := step.(type) {
	case int:
		if node.Kind == yaml.SequenceNode && step < len(node.Content) {
			return node.Content[step]
		}
	case string:
		for i := 0; node.Kind == yaml.MappingNode && i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == step {
				return node.Content[i+1]
			}
		}
	}
	return nil
}

// maxKeys bounds the keys of one mapping: the library compares each key with all others.
const maxKeys = 5000

func findLargeMapping(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.MappingNode && len(node.Content) > 2*maxKeys {
		return node
	}
	for _, c := range node.Content {
		if found := findLargeMapping(c); found != nil {
			return found
		}
	}
	return nil
}

// findAlias finds anchors, aliases and merge keys: with them a small file could grow into a large value.
func findAlias(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode || node.Anchor != "" || node.Tag == "!!merge" {
		return node
	}
	for _, c := range node.Content {
		if found := findAlias(c); found != nil {
			return found
		}
	}
	return nil
}

func isNull(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

func positionOf(node *yaml.Node) Position { return Position{Line: node.Line, Column: node.Column} }

func problemAt(node *yaml.Node, message string) error {
	return Problems{{Position: positionOf(node), Message: message}}
}

var lineInMessage = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

// splitLine separates the line from a message of the library.
func splitLine(message string) Problem {
	var p Problem
	if m := lineInMessage.FindStringSubmatch(message); m != nil {
		p.Line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	p.Message = strings.TrimPrefix(message, "yaml: ")
	return p
}
