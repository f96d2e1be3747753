package objects

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

// maxNodes bounds what aliases of one document can multiply.
const maxNodes = 4 << 20

// parseText reads all documents of a text, in JSON or YAML. A document that cannot be read does not hide the others.
func parseText(d Document, text []byte) (roots []*Node, failures []Unchecked) {
	fail := func(line, column int, err error) {
		at := (&Node{Line: int32(line), Column: int32(column), document: &d}).Place()
		failures = append(failures, Unchecked{Place: at, Reason: err.Error()})
	}
	text, d.marked = bytes.CutPrefix(text, []byte("\uFEFF"))
	for _, part := range splitDocuments(text) {
		root, line, column, err := parsePart(d, part)
		switch {
		case err != nil:
			fail(line, column, err)
		case root != nil:
			roots = append(roots, root)
		}
	}
	return roots, failures
}

// parsePart reads one document; nil: it is empty. An error is at a line of the stream.
func parsePart(d Document, p part) (root *Node, line, column int, err error) {
	if !looksLikeJSON(p.text) {
		d.isYAML = true
		root, line, err = parseYAML(d, p)
		return root, line, 0, err
	}
	root, err = parseJSON(d, p)
	if err == nil {
		return root, 0, 0, nil
	}
	var problems strictyaml.Problems
	if errors.As(err, &problems) && len(problems) > 0 {
		return nil, problems[0].Line + p.line, problems[0].Column, errors.New(problems[0].Message)
	}
	return nil, p.line + 1, 0, errors.New(strings.TrimPrefix(err.Error(), ": "))
}

// looksLikeJSON reports a text that begins with a bracket, and does not go on as YAML in flow style does, with a word without quotes.
func looksLikeJSON(text []byte) bool {
	text = bytes.TrimSpace(text)
	if !bytes.HasPrefix(text, []byte("{")) && !bytes.HasPrefix(text, []byte("[")) {
		return false
	}
	inner := bytes.TrimLeft(text, "{[ \t\r\n")
	return len(inner) == 0 || !isLetter(inner[0]) && !bytes.ContainsRune([]byte("'&*!#"), rune(inner[0]))
}

func isLetter(b byte) bool { return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' }

func parseJSON(d Document, p part) (*Node, error) {
	file, err := docedit.Parse("", p.text)
	if err != nil {
		return nil, err
	}
	root := convertJSON(file.Documents[0], nil, int32(p.line))
	root.document = &d
	d.text, d.line = p.text, p.line
	return root, nil
}

// convertJSON takes over a value whose lines count from the line after offset.
func convertJSON(from *docedit.Node, parent *Node, offset int32) *Node {
	n := &Node{Value: from.Value, Line: int32(from.Line) + offset, Column: int32(from.Column), parent: parent}
	switch from.Kind {
	case docedit.Bool:
		n.Kind = Bool
	case docedit.Number:
		n.Kind = Number
	case docedit.Text:
		n.Kind = Text
	case docedit.List:
		n.Kind, n.Items = List, make([]*Node, 0, len(from.Items))
		for _, item := range from.Items {
			n.Items = append(n.Items, convertJSON(item, n, offset))
		}
	case docedit.Object:
		n.Kind, n.Items = Map, make([]*Node, 0, len(from.Members))
		for _, m := range from.Members {
			member := convertJSON(m.Value, n, offset)
			member.Key = m.Key.Value
			n.Items = append(n.Items, member)
		}
	case docedit.Null, docedit.Alias:
	}
	return n
}

// part is one document of a stream.
type part struct {
	text []byte
	line int // lines before it
}

// splitDocuments cuts a stream at the lines ---, as kubectl does.
func splitDocuments(text []byte) (parts []part) {
	current, number := part{}, 0
	for row := range bytes.Lines(text) {
		if bytes.HasPrefix(row, []byte("---")) && (len(bytes.TrimRight(row, "\r\n")) == 3 || row[3] == ' ' || row[3] == '\t') {
			parts = append(parts, current)
			current = part{line: number}
			rest := bytes.TrimSpace(row[3:])
			if len(rest) == 0 || rest[0] == '#' {
				row = []byte("\n")
			} else {
				row = append(bytes.Repeat([]byte(" "), 3), row[3:]...)
			}
		}
		current.text = append(current.text, row...)
		number++
	}
	return append(parts, current)
}

var yamlErrorLine = regexp.MustCompile(`line (\d+): `)

func parseYAML(d Document, p part) (root *Node, line int, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(p.text, &document); err != nil {
		message := strings.TrimPrefix(err.Error(), "yaml: ")
		if found := yamlErrorLine.FindStringSubmatch(message); found != nil {
			at, _ := strconv.Atoi(found[1])
			return nil, at + p.line, errors.New("no YAML: " + yamlErrorLine.ReplaceAllString(message, ""))
		}
		return nil, p.line + 1, errors.New("no YAML: " + message)
	}
	if len(document.Content) == 0 || document.Content[0].Kind == yaml.ScalarNode && document.Content[0].Tag == "!!null" {
		return nil, 0, nil
	}
	c := &yamlConverter{offset: p.line}
	root = c.convert(document.Content[0], nil, 0)
	if c.err != nil {
		return nil, c.errLine, c.err
	}
	root.document = &d
	d.text, d.line = p.text, p.line
	return root, 0, nil
}

type yamlConverter struct {
	offset, nodes int
	err           error
	errLine       int
}

func (c *yamlConverter) fail(from *yaml.Node, format string, args ...any) {
	if c.err == nil {
		c.err, c.errLine = fmt.Errorf(format, args...), from.Line+c.offset
	}
}

func (c *yamlConverter) convert(from *yaml.Node, parent *Node, depth int) *Node {
	n := &Node{Line: int32(from.Line + c.offset), Column: int32(from.Column), parent: parent}
	c.nodes++
	if c.nodes > maxNodes || depth > 200 {
		c.fail(from, "more than %d values, or more than 200 levels", maxNodes)
		return n
	}
	switch from.Kind {
	case yaml.AliasNode:
		n = c.convert(from.Alias, parent, depth+1)
		n.Line, n.Column = int32(from.Line+c.offset), int32(from.Column)
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range from.Content {
			n.Items = append(n.Items, c.convert(item, n, depth+1))
		}
	case yaml.MappingNode:
		n.Kind = Map
		c.convertMembers(from, n, depth)
	case yaml.ScalarNode:
		n.Value = from.Value
		switch from.Tag {
		case "!!null":
			n.Kind, n.Value = Null, ""
		case "!!bool":
			n.Kind, n.Value = Bool, strconv.FormatBool(strings.EqualFold(from.Value, "true"))
		case "!!int", "!!float":
			n.Kind = Number
		default:
			n.Kind = Text
		}
	case yaml.DocumentNode:
	}
	return n
}

func (c *yamlConverter) convertMembers(from *yaml.Node, n *Node, depth int) {
	seen := map[string]bool{}
	var merged []*Node
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, c.convertMerge(value, n, depth)...)
			continue
		}
		if key.Kind != yaml.ScalarNode {
			c.fail(key, "a key that is no text")
			return
		}
		if seen[key.Value] {
			c.fail(key, "%q is there twice: remove one of them", key.Value)
			return
		}
		seen[key.Value] = true
		member := c.convert(value, n, depth+1)
		member.Key = key.Value
		n.Items = append(n.Items, member)
	}
	for _, m := range merged {
		if !seen[m.Key] {
			seen[m.Key] = true
			n.Items = append(n.Items, m)
		}
	}
}

func (c *yamlConverter) convertMerge(value *yaml.Node, n *Node, depth int) (members []*Node) {
	sources := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		sources = value.Content
	}
	for _, source := range sources {
		converted := c.convert(source, n, depth+1)
		for _, m := range converted.Items {
			m.parent = n
			members = append(members, m)
		}
	}
	return members
}
