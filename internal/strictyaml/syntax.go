package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// DiagnoseSyntax explains why data is not YAML. The library names the place where it gives
// up, and the mistake is often in another line. So each usual mistake is searched for
// and repaired in a copy. It is reported if the copy can be read, or can be read
// further.
func DiagnoseSyntax(data []byte, err error) Problem {
	found := splitLine(err.Error())
	if place, invalid := invalidUTF8(data); invalid {
		return Problem{Position: place, Message: fmt.Sprintf("the byte 0x%02X is not UTF-8: save the file as UTF-8", data[byteOffset(data, place)])}
	}
	lines := strings.Split(string(data), "\n")
	var further *Problem
	for _, find := range []func([]string, int) (Problem, []string){findUnquotedSign, findUnquotedBrace, findUnquotedColon, findOpenQuote, findOddIndentation} {
		budget := maxReread
		for _, i := range sortByDistance(len(lines), found.Line-1) {
			if len(lines[i]) > longestLine {
				continue
			}
			problem, repairs := find(lines, i)
			problem.Line = i + 1
			for _, repaired := range repairs {
				if budget -= len(data); budget < 0 {
					break
				}
				switch reach := readWith(lines, i, repaired); {
				case reach == wholeText:
					return problem
				case reach > max(i, found.Line)+1 && further == nil:
					further = &problem
				}
			}
		}
	}
	if further != nil {
		return *further
	}
	if parserMessage.MatchString(found.Message) && found.Line < len(lines) && strings.ContainsAny(lines[found.Line], "[{") {
		found.Line++ // the library's parser, unlike its scanner, counts lines from 0
	}
	if at := max(found.Line-1, 0); strings.Contains(found.Message, startsNoToken) && at < len(lines) && strings.HasPrefix(strings.TrimLeft(lines[at], " "), "\t") {
		found.Message = "found a tab character"
	}
	found.Message = rewordSyntax(found.Message)
	return found
}

const startsNoToken = "found character that cannot start any token"

var parserMessage = regexp.MustCompile(`^did not find expected (',' or|node content)`)

const (
	// maxReread bounds, in bytes, the text that is read again to find one kind of mistake. A
	// usual policy is smaller than a fiftieth of it.
	maxReread = 256 << 10
	// longestLine bounds, in bytes, the lines that are searched: people write no longer ones.
	longestLine = 1000
)

// sortByDistance returns the indices of n lines, those nearest to the given line first.
func sortByDistance(n, at int) []int {
	at = min(max(at, 0), n-1)
	order := make([]int, 0, n)
	for distance := 0; len(order) < n; distance++ {
		if i := at - distance; i >= 0 {
			order = append(order, i)
		}
		if i := at + distance; i < n && distance > 0 {
			order = append(order, i)
		}
	}
	return order
}

// wholeText is the reach of [readWith] for a text without a mistake.
const wholeText = math.MaxInt

// readWith reads the text with line i replaced. It returns the line, from 1, where the reading
// ends.
func readWith(lines []string, i int, repaired string) int {
	changed := make([]string, len(lines))
	copy(changed, lines)
	changed[i] = repaired
	decoder := yaml.NewDecoder(strings.NewReader(strings.Join(changed, "\n")))
	for {
		var node yaml.Node
		err := decoder.Decode(&node)
		switch {
		case errors.Is(err, io.EOF):
			return wholeText
		case err != nil:
			return splitLine(err.Error()).Line
		}
	}
}

var (
	signInFlow  = regexp.MustCompile("([\\[,:{-]\\s*)([*&!%@`][^\\s,\\]}\"']*)")
	braceInFlow = regexp.MustCompile(`([\[,]\s*)([^\s,\[\]{}"'](?:[^,\[\]{}"']*\{[^,\[\]{}"']*\})+[^,\[\]{}"']*)`)
	colonInText = regexp.MustCompile(`^(\s*(?:- )?[A-Za-z0-9_.]+:\s+)([^"'\[{|>\s].*: .*)$`)
)

func findUnquotedSign(lines []string, i int) (Problem, []string) {
	m := signInFlow.FindStringSubmatchIndex(lines[i])
	if m == nil {
		return Problem{}, nil
	}
	return quotePart(lines[i], m[4], m[5], "a text that begins with "+lines[i][m[4]:m[4]+1])
}

func findUnquotedBrace(lines []string, i int) (first Problem, repairs []string) {
	line := lines[i]
	for {
		m := braceInFlow.FindStringSubmatchIndex(line)
		if m == nil {
			return first, repairs
		}
		problem, repaired := quotePart(line, m[4], m[5], "a text with { and } in it")
		if line = repaired[0]; repairs == nil {
			first = problem
		}
		repairs = repaired // all texts of the line that were found so far
	}
}

func findUnquotedColon(lines []string, i int) (Problem, []string) {
	m := colonInText.FindStringSubmatchIndex(lines[i])
	if m == nil {
		return Problem{}, nil
	}
	return quotePart(lines[i], m[4], m[5], `a text with ": " in it`)
}

// quotePart puts the bytes from start to end of the line in quotes, and describes that.
func quotePart(line string, start, end int, what string) (Problem, []string) {
	text := strings.TrimRight(line[start:end], " \r")
	mark := `"`
	if strings.ContainsAny(text, `"\`) {
		mark, text = `'`, strings.ReplaceAll(text, `'`, `''`)
	}
	problem := Problem{Message: fmt.Sprintf("put %s in quotes: %s", what, mark+text+mark)}
	problem.Column = start + 1
	return problem, []string{line[:start] + mark + text + mark + line[end:]}
}

// findOpenQuote finds a quote that the rest of its line does not close.
func findOpenQuote(lines []string, i int) (Problem, []string) {
	at := -1
	for j, c := range lines[i] {
		switch {
		case c != '"' && c != '\'':
		case at < 0 && (j == 0 || strings.IndexByte(" [,:{", lines[i][j-1]) >= 0):
			at = j
		case at >= 0 && lines[i][at] == byte(c):
			at = -1
		}
	}
	if at < 0 {
		return Problem{}, nil
	}
	problem := Problem{Message: fmt.Sprintf("the quote %c is not closed in this line", lines[i][at])}
	problem.Column = at + 1
	var repairs []string
	for end := len(lines[i]); end > at; end-- { // before one, two, … of the brackets at the end
		repairs = append(repairs, lines[i][:end]+lines[i][at:at+1]+lines[i][end:])
		if strings.IndexByte(" \r]}", lines[i][end-1]) < 0 {
			break
		}
	}
	return problem, repairs
}

// findOddIndentation finds a line whose column no line above it has, and
// repairs it with the column of the line above.
func findOddIndentation(lines []string, i int) (Problem, []string) {
	indent := indentOf(lines[i])
	if i == 0 || indent < 0 {
		return Problem{}, nil
	}
	above := i - 1
	for above > 0 && indentOf(lines[above]) < 0 {
		above--
	}
	want := indentOf(lines[above])
	if strings.HasPrefix(strings.TrimLeft(lines[above], " "), "- ") && !strings.HasPrefix(strings.TrimLeft(lines[i], " "), "- ") {
		want += 2
	}
	if want < 0 || want == indent {
		return Problem{}, nil
	}
	problem := Problem{Message: fmt.Sprintf("this line begins in column %d; begin it in column %d, as its neighbours do", indent+1, want+1)}
	problem.Column = indent + 1
	return problem, []string{strings.Repeat(" ", want) + strings.TrimLeft(lines[i], " ")}
}

// indentOf is the number of spaces before the text of a line; -1: it has no text.
func indentOf(line string) int {
	text := strings.TrimLeft(line, " ")
	if strings.TrimSpace(text) == "" || text[0] == '#' {
		return -1
	}
	return len(line) - len(text)
}

func invalidUTF8(data []byte) (Position, bool) {
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		return Position{}, false // UTF-16, which YAML admits
	}
	place := Position{Line: 1, Column: 1}
	for rest := data; len(rest) > 0; {
		r, size := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return place, true
		case r == '\n':
			place.Line, place.Column = place.Line+1, 1
		default:
			place.Column += size
		}
		rest = rest[size:]
	}
	return Position{}, false
}

// byteOffset is the index in data of a place, whose column counts bytes.
func byteOffset(data []byte, place Position) int {
	at := 0
	for line := 1; line < place.Line; line++ {
		at += bytes.IndexByte(data[at:], '\n') + 1
	}
	return at + place.Column - 1
}

// syntaxMessages replace messages of the library, which say what its parser wanted, not what a
// person wrote. The first one that matches counts.
var syntaxMessages = []struct{ library, message string }{
	{"found a tab character", "a tab in the indentation: YAML is indented with spaces only"},
	{startsNoToken, "a character that cannot begin a text: put the text in quotes, and indent with spaces"},
	{"did not find expected ',' or ']'", "a list that begins with [ does not end: write ], or put its texts in quotes"},
	{"did not find expected node content", "a list or mapping that begins with [ or { does not end, or a value is missing"},
	{"did not find expected ',' or '}'", "a mapping that begins with { does not end: write }, or put its texts in quotes"},
	{"did not find expected '-' indicator", "an entry of this list does not begin with -, or a line near it is not indented as its neighbours are"},
	{"did not find expected key", "a line near here is not indented as its neighbours are, or a key lacks its colon"},
	{"mapping values are not allowed in this context", `": " inside a text: put the text in quotes, or indent the line as its neighbours are`},
	{"could not find expected ':'", "a key without a colon: write KEY: VALUE"},
	{"found unexpected end of stream", "the file ends inside a text in quotes: close the quote"},
	{"did not find expected alphabetic or numeric character", "a text that begins with * or &: put it in quotes"},
	{"control characters are not allowed", "a control character: remove it"},
}

func rewordSyntax(message string) string {
	for _, row := range syntaxMessages {
		if strings.Contains(message, row.library) {
			return row.message
		}
	}
	return message
}
