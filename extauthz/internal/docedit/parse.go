package docedit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// maxDepth bounds the recursion for a file.
const maxDepth = 200

// checkNames rejects an object with two members of one name: parsers choose different ones.
func checkNames(n *Node) error {
	seen := map[string]bool{}
	for _, m := range n.Members {
		if seen[m.Key.Value] {
			return errorAt(m.Key.Line, m.Key.Column, "%q is there twice: remove one of them", m.Key.Value)
		}
		seen[m.Key.Value] = true
	}
	return nil
}

// jsonParser reads JSON with the places of its values.
type jsonParser struct {
	text    []byte
	decoder *json.Decoder
	lines   lineStarts
}

func parseJSON(text []byte) ([]*Node, error) {
	p := &jsonParser{text: text, decoder: json.NewDecoder(bytes.NewReader(text)), lines: findLineStarts(text)}
	p.decoder.UseNumber()
	root, err := p.parseValue(0)
	if err == nil {
		end := int(p.decoder.InputOffset())
		if _, more := p.decoder.Token(); !errors.Is(more, io.EOF) {
			line, column := p.lines.place(end + len(text[end:]) - len(bytes.TrimLeft(text[end:], " \t\r\n")))
			err = errorAt(line, column, "want one JSON value, and nothing after it")
		}
	}
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		at := findSyntaxError(text, syntax)
		line, column := p.lines.place(at)
		if at < len(text) && (text[at] == '/' || text[at] == '#') {
			return nil, errorAt(line, column, "JSON has no comments: remove this one")
		}
		return nil, errorAt(line, column, "no JSON: %s", syntax)
	case err != nil:
		return nil, err
	}
	return []*Node{root}, nil
}

// findSyntaxError gives the offset of the character that an error names. For a token, the decoder gives its offset; inside a value, the
// one after it.
func findSyntaxError(text []byte, err *json.SyntaxError) int {
	at := int(err.Offset)
	if at < len(text) && strings.HasPrefix(err.Error(), "invalid character "+strconv.QuoteRune(rune(text[at]))) {
		return at
	}
	return max(at-1, 0)
}

func (p *jsonParser) parseValue(depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("more than %d levels", maxDepth)
	}
	start := int(p.decoder.InputOffset())
	for start < len(p.text) && (isSpace(p.text[start]) || p.text[start] == ',' || p.text[start] == ':') {
		start++
	}
	token, err := p.decoder.Token()
	if err != nil {
		return nil, p.placeEnd(err)
	}
	n := &Node{start: start}
	n.Line, n.Column = p.lines.place(start)
	switch t := token.(type) {
	case json.Delim:
		if err := p.parseEntries(n, t, depth); err != nil {
			return nil, err
		}
	case string:
		n.Kind, n.Value = Text, t
	case json.Number:
		n.Kind, n.Value = Number, t.String()
	case bool:
		n.Kind, n.Value = Bool, strconv.FormatBool(t)
	}
	n.end = int(p.decoder.InputOffset())
	return n, nil
}

func (p *jsonParser) parseEntries(n *Node, open json.Delim, depth int) error {
	n.Kind = List
	if open == '{' {
		n.Kind = Object
	}
	for p.decoder.More() {
		value, err := p.parseValue(depth + 1)
		if err != nil {
			return err
		}
		if n.Kind == List {
			n.Items = append(n.Items, value)
			continue
		}
		key := value
		if value, err = p.parseValue(depth + 1); err != nil {
			return err
		}
		n.Members = append(n.Members, Member{Key: key, Value: value})
	}
	if _, err := p.decoder.Token(); err != nil { // the closing bracket
		return p.placeEnd(err)
	}
	return checkNames(n)
}

// placeEnd gives the end of the text as the place where a value is incomplete.
func (p *jsonParser) placeEnd(err error) error {
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	line, column := p.lines.place(len(bytes.TrimRight(p.text, " \t\r\n")))
	return errorAt(line, column, "the JSON value is incomplete")
}

// lineStarts are the offsets of the lines of a text.
type lineStarts []int

func findLineStarts(text []byte) lineStarts {
	starts := lineStarts{0}
	for i, b := range text {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// place gives line and column, from 1, of an offset.
func (s lineStarts) place(offset int) (line, column int) {
	i, found := slices.BinarySearch(s, offset)
	if !found {
		i--
	}
	return i + 1, offset - s[i] + 1
}

// yamlParser converts the nodes of the YAML library, which have no ends.
type yamlParser struct {
	text  []byte
	lines lineStarts
}

func parseYAML(text []byte) (documents []*Node, err error) {
	p := &yamlParser{text: text, lines: findLineStarts(text)}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document yaml.Node
		err := decoder.Decode(&document)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			problem := strictyaml.DiagnoseSyntax(text, err)
			return nil, errorAt(problem.Line, problem.Column, "no YAML: %s", problem.Message)
		}
		for _, root := range document.Content {
			n, err := p.convert(root, -1, 0)
			if err != nil {
				return nil, err
			}
			documents = append(documents, n)
		}
	}
}

// convert converts a node. The lines of its block are indented by more than parent, or are blank.
func (p *yamlParser) convert(from *yaml.Node, parent, depth int) (*Node, error) {
	if depth > maxDepth {
		return nil, errorAt(from.Line, from.Column, "more than %d levels", maxDepth)
	}
	n := &Node{Line: from.Line, Column: from.Column, start: p.offset(from), anchored: from.Anchor != ""}
	n.block = from.Style&yaml.FlowStyle == 0
	switch from.Kind {
	case yaml.MappingNode:
		n.Kind = Object
		for i := 0; i+1 < len(from.Content); i += 2 {
			key, err := p.convert(from.Content[i], parent, depth+1)
			if err != nil {
				return nil, err
			}
			value, err := p.convert(from.Content[i+1], from.Column-1, depth+1)
			if err != nil {
				return nil, err
			}
			p.placeEmptyValue(key, value, from.Content[i])
			n.Members = append(n.Members, Member{Key: key, Value: value})
		}
		if err := checkNames(n); err != nil {
			return nil, err
		}
	case yaml.SequenceNode:
		n.Kind = List
		for _, item := range from.Content {
			value, err := p.convert(item, from.Column-1, depth+1)
			if err != nil {
				return nil, err
			}
			n.Items = append(n.Items, value)
		}
	case yaml.AliasNode:
		n.Kind, n.Value, n.block = Alias, from.Value, false
		return n, nil
	default:
		n.Kind, n.Value, n.block = scalarKind(from.ShortTag()), from.Value, false
		if word, isBool := readBool(from); isBool {
			n.Kind, n.Value = Bool, word
		}
		n.literal = from.Style&yaml.LiteralStyle != 0
		if n.literal {
			n.end = p.blockEnd(n.Line, parent, false)
		} else if n.Kind == Null {
			n.end = n.start + len(from.Value)
		}
		return n, nil
	}
	if n.anchored || from.Style&yaml.TaggedStyle != 0 {
		n.anchored = true // its start is not that of its content
		return n, nil
	}
	if n.block {
		n.end = p.blockEnd(n.lastLine(), from.Column-1, n.Kind == Object && n.endsWithList())
	} else {
		n.end, n.commented = p.flowEnd(n.start)
	}
	return n, nil
}

// lastLine is the line where the last entry of a block begins.
func (n *Node) lastLine() int {
	switch {
	case len(n.Members) > 0:
		return n.Members[len(n.Members)-1].Key.Line
	case len(n.Items) > 0:
		return n.Items[len(n.Items)-1].Line
	}
	return n.Line
}

// endsWithList reports whether the last member is a block list, whose entries may be indented as the member itself.
func (n *Node) endsWithList() bool {
	last := n.Members[len(n.Members)-1].Value
	return last.Kind == List && last.block
}

func scalarKind(tag string) Kind {
	switch tag {
	case "!!null":
		return Null
	case "!!bool":
		return Bool
	case "!!int", "!!float":
		return Number
	}
	return Text
}

// readBool reads the words of YAML 1.1 too: Kubernetes reads yes as true.
func readBool(from *yaml.Node) (word string, isBool bool) {
	if from.Style&^yaml.FlowStyle != 0 {
		return "", false
	}
	switch strings.ToLower(from.Value) {
	case "true", "yes", "on", "y":
		return "true", true
	case "false", "no", "off", "n":
		return "false", true
	}
	return "", false
}

// placeEmptyValue gives an empty value its place after the colon of its key.
func (p *yamlParser) placeEmptyValue(key, value *Node, from *yaml.Node) {
	if value.Kind != Null || value.Value != "" || from.Style != 0 {
		return
	}
	if at := key.start + len(key.Value); at < len(p.text) && p.text[at] == ':' {
		value.start, value.end = at+1, at+1
	}
}

// offset gives the byte of a node. Its column counts characters.
func (p *yamlParser) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(p.lines) {
		return 0
	}
	at := p.lines[n.Line-1]
	for range n.Column - 1 {
		if at >= len(p.text) {
			break
		}
		_, size := utf8.DecodeRune(p.text[at:])
		at += size
	}
	return at
}

// blockEnd gives the start of the line after the entry that begins on a line: the entry has the following lines with more indentation.
// With lists, entries of a list with the same indentation belong to it too. Blank lines and comments at the end do not.
func (p *yamlParser) blockEnd(line, indent int, lists bool) int {
	last := line - 1 // index of the last line of the entry
	for i := line; i < len(p.lines); i++ {
		text := p.line(i)
		rest := strings.TrimLeft(text, " ")
		if strings.TrimSpace(rest) == "" {
			continue
		}
		depth := len(text) - len(rest)
		if depth < indent || depth == indent && !(lists && listEntry.MatchString(rest)) {
			break
		}
		last = i
	}
	if last+1 < len(p.lines) {
		return p.lines[last+1]
	}
	return len(p.text)
}

var listEntry = regexp.MustCompile(`^-(\s|$)`)

// line gives a line by its index, without its end.
func (p *yamlParser) line(i int) string {
	end := len(p.text)
	if i+1 < len(p.lines) {
		end = p.lines[i+1]
	}
	return strings.TrimRight(string(p.text[p.lines[i]:end]), "\r\n")
}

// flowEnd gives the byte after the closing bracket, and whether a comment is between the last entry and the bracket; 0: the bracket is
// not found.
func (p *yamlParser) flowEnd(start int) (end int, commented bool) {
	depth, quoted := 0, byte(0)
	for i := start; i < len(p.text); i++ {
		b, before := p.text[i], byte(' ')
		if i > 0 {
			before = p.text[i-1]
		}
		wasCommented := commented
		if !isSpace(b) {
			commented = false
		}
		switch {
		case quoted == '"' && b == '\\', quoted == '\'' && b == quoted && i+1 < len(p.text) && p.text[i+1] == quoted:
			i++ // an escape
		case quoted != 0:
			if b == quoted {
				quoted = 0
			}
		case (b == '"' || b == '\'') && (isSpace(before) || strings.IndexByte("[{,:", before) >= 0):
			quoted = b
		case b == '#' && isSpace(before):
			for i < len(p.text) && p.text[i] != '\n' {
				i++
			}
			commented = true
		case b == '[' || b == '{':
			depth++
		case b == ']' || b == '}':
			if depth--; depth == 0 {
				return i + 1, wasCommented
			}
		}
	}
	return 0, false
}
