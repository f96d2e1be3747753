package strictyaml

import (
	"fmt"
	"strings"
	"testing"
)

// What is read again to explain a mistake is bounded for any text: it is a
// test of work, which a loop over all lines would not end within hours.
func TestExplainingAMistakeIsBounded(t *testing.T) {
	lines := func(format string) string { return "a:\n" + strings.Repeat(format, maxReread/len(format)) }
	for name, text := range map[string]string{
		"flow mappings":      lines("  - {name: a, to: {paths: ['/**']}}\n") + " x: [\n",
		"braces":             lines("  - paths: [a{b}c, x]\n"),
		"stars":              lines("  - [*, *]\n"),
		"indentation":        lines("  - name: x\n    to:\n      paths: [a]\n") + " x: [\n",
		"quotes in comments": lines("  # it 's not\n  - b\n") + " x: [\n",
		"one line, brackets": "a: '" + strings.Repeat("]", maxReread),
		"one line, braces":   "a: [x{y}" + strings.Repeat(", x{y}", maxReread/6),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseAll([]byte(text)); err == nil || len(err.Error()) > 1000 {
				t.Errorf("got %.2000v", err)
			}
		})
	}
}

func TestManyProblemsAreFoundInOneLook(t *testing.T) {
	const n = 20_000
	doc, err := Parse([]byte("list:\n" + strings.Repeat("- [x]\n", n)))
	if err != nil {
		t.Fatal(err)
	}
	var into struct {
		List []string `yaml:"list"`
	}
	problems := doc.Decode(&into)
	if want := fmt.Sprintf("%d:3: entry %d of list: want a text, not a list", n+1, n); len(problems) != n || problems[n-1].String() != want {
		t.Errorf("got %d problems, the last is %s", len(problems), problems[len(problems)-1])
	}
}
