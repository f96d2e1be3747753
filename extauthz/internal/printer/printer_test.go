package printer_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

func TestEscape(t *testing.T) {
	for text, want := range map[string]string{
		"plain\nlines": "plain\nlines",
		"\x1b[31mred":  `\u001b[31mred`,
		"a\u202eb":     `a\u202eb`,
		"a\tb\r":       `a\u0009b\u000d`,
		"\U000E0001":   `\udb40\udc01`,
		"é, 日本":        "é, 日本",
	} {
		if got := printer.Escape(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestEscapeLines(t *testing.T) {
	for text, want := range map[string]string{
		"-\ta\r\n+\tb\r\n": "-\ta\r\n+\tb\r\n",
		"a\rb\n\x1b[31m":   `a\u000db` + "\n" + `\u001b[31m`,
		"a\r":              `a\u000d`,
	} {
		if got := printer.EscapeLines(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func TestJSON(t *testing.T) {
	var long, line strings.Builder
	value := map[string]string{"a": "<\u202e\x1b>"}
	if err := errors.Join(printer.JSON(&long, value), printer.JSONLine(&line, value)); err != nil {
		t.Fatal(err)
	}
	if want := "{\n  \"a\": \"<\\u202e\\u001b>\"\n}\n"; long.String() != want {
		t.Errorf("got %s", long.String())
	}
	if want := "{\"a\":\"<\\u202e\\u001b>\"}\n"; line.String() != want {
		t.Errorf("got %s", line.String())
	}
}

func TestFailure(t *testing.T) {
	problem := func(file, message string) strictyaml.Problems {
		return strictyaml.Problems{{File: file, Position: strictyaml.Position{Line: 3, Column: 5}, Message: message}}
	}
	err := fmt.Errorf("policies: %w", errors.Join(problem("a.yaml", "one"), fmt.Errorf("again: %w", problem("b.yaml", "two"))))
	f := printer.NewFailure(err)
	want := []printer.Problem{{File: "a.yaml", Line: 3, Column: 5, Message: "one"}, {File: "b.yaml", Line: 3, Column: 5, Message: "two"}}
	if f.Message != err.Error() || len(f.Problems) != 2 || f.Problems[0] != want[0] || f.Problems[1] != want[1] {
		t.Errorf("got %+v", f)
	}
}

func TestErrorsHoldNoToken(t *testing.T) {
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJva3RhOmFsaWNlIn0.bSeaI3Tenq17hlxB0GAHKtdEAD7oUAe154dtpDCX-qI"
	for text, want := range map[string]string{
		"open " + token + ": no such file": "open [a token]: no such file",
		"open " + token[1:]:                "open [a token]",
		"https://tyk.example.com/a.b.c":    "https://tyk.example.com/a.b.c",
	} {
		if got := printer.RedactTokens(text); got != want {
			t.Errorf("got %s", got)
		}
	}
}
