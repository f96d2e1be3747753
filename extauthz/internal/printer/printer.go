// Package printer prints the answers of the commands of meshpass: text for people, JSON
// for programs. Its input can come from an attacker, so it escapes every character that
// could control a terminal, and removes tokens from errors.
package printer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

// Text writes text without terminal control characters; see [Escape].
func Text(to io.Writer, text string) error {
	_, err := io.WriteString(to, Escape(text))
	return err
}

// JSON writes one indented JSON value and a line break; see [Escape].
func JSON(to io.Writer, value any) error { return writeJSON(to, value, "  ") }

// JSONLine writes one JSON value in one line, for logs; see [Escape].
func JSONLine(to io.Writer, value any) error { return writeJSON(to, value, "") }

func writeJSON(to io.Writer, value any, indent string) error {
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetIndent("", indent)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return err
	}
	return Text(to, text.String())
}

// Escape writes every character that is not visible, except the line break, as
// \uXXXX. In JSON such characters occur only in strings, where the escape has the
// same meaning; outside the basic plane it is a surrogate pair.
func Escape(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r == '\n' || unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}

// EscapeLines is [Escape] for the lines of a file: it keeps tabs, and the CR before a line break, so that a program such as patch
// reads the text as it is.
func EscapeLines(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		body, end := strings.TrimSuffix(line, "\n"), line[len(strings.TrimSuffix(line, "\n")):]
		if end != "" && strings.HasSuffix(body, "\r") {
			body, end = body[:len(body)-1], "\r\n"
		}
		for i, part := range strings.Split(body, "\t") {
			if i > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(Escape(part))
		}
		b.WriteString(end)
	}
	return b.String()
}

// Fprintf is [fmt.Fprintf] for lines that have values of records: a line break, a tab or a control character in a value is written
// as \uXXXX, so that it cannot begin a line or a column of its own.
func Fprintf(to io.Writer, format string, args ...any) (int, error) {
	for i, arg := range args {
		switch value := arg.(type) {
		case string:
			args[i] = escapeLine(value)
		case fmt.Stringer:
			args[i] = escapeLine(value.String())
		}
	}
	return fmt.Fprintf(to, format, args...)
}

func escapeLine(text string) string { return strings.ReplaceAll(Escape(text), "\n", `\u000a`) }

// FormatTime is the form of a time in text: RFC 3339, in UTC and whole seconds.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Failure describes why a command failed.
type Failure struct {
	Message  string    `json:"message"`
	Problems []Problem `json:"problems,omitempty"` // of files; empty: the message is complete
}

// Problem is a mistake at one place of a file.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

// FormatPlace returns FILE:LINE:COLUMN:, which editors can follow. Line 0 is the whole file.
func FormatPlace(file string, line, column int) string {
	if line == 0 {
		return file + ":"
	}
	return fmt.Sprintf("%s:%d:%d:", file, line, max(column, 1))
}

// NewFailure describes an error. The problems of every [strictyaml.Problems] that
// the error wraps are listed one by one.
func NewFailure(err error) *Failure {
	f := &Failure{Message: RedactTokens(err.Error())}
	for _, p := range collectProblems(err) {
		f.Problems = append(f.Problems, Problem{File: p.File, Line: p.Line, Column: p.Column, Message: RedactTokens(p.Message)})
	}
	return f
}

func collectProblems(err error) strictyaml.Problems {
	if problems, ok := err.(strictyaml.Problems); ok { //nolint:errorlint // the tree is walked here, so that joined errors keep all their problems
		return problems
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all strictyaml.Problems
		for _, each := range joined.Unwrap() {
			all = append(all, collectProblems(each)...)
		}
		return all
	}
	if inner := errors.Unwrap(err); inner != nil {
		return collectProblems(inner)
	}
	return nil
}

// jws is a compact JWS, whole or cut at either end: three long parts of base64url.
var jws = regexp.MustCompile(`[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}`)

// RedactTokens replaces every token in a text: errors end up in logs.
func RedactTokens(text string) string { return jws.ReplaceAllString(text, "[a token]") }
