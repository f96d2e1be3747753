package pagetest

import (
	"context"
	"reflect"
	"strings"
	"testing"
)

const page = `# Title

## One

~~~yaml
# a/b.yaml
x: 1
~~~

~~~yaml
# a comment, no name
x: 2
~~~

## Two

~~~console
$ cat a/b.yaml |
  grep x
x: 1
$ true
~~~

~~~sh
# not a command
cat <<EOF
text
EOF
false
~~~
`

func TestStepsOfAPage(t *testing.T) {
	want := []Step{
		{Line: 6, Section: "One", File: "a/b.yaml", Text: "# a/b.yaml\nx: 1\n"},
		{Line: 18, Section: "Two", Command: "cat a/b.yaml |\n  grep x", Output: "x: 1\n", Shown: true},
		{Line: 21, Section: "Two", Command: "true", Shown: true},
		{Line: 26, Section: "Two", Command: "cat <<EOF\ntext\nEOF"},
		{Line: 29, Section: "Two", Command: "false"},
	}
	if got := parsePage(strings.ReplaceAll(page, "~~~", "```")); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

// Each step ends as the page shows it, or is an error.
func TestTakeStep(t *testing.T) {
	reader := &Reader{Dir: t.TempDir(), Env: []string{"NAME=value"}}
	for _, row := range []struct {
		step Step
		fine bool
	}{
		{Step{File: "a/b.yaml", Text: "x: 1\n"}, true},
		{Step{Command: "cat a/b.yaml", Output: "x: 1\n", Shown: true}, true},
		{Step{Command: "cat a/b.yaml", Output: "x: 2\n", Shown: true}, false},
		{Step{Command: "cat a/b.yaml", Shown: true}, false},
		{Step{Command: "echo $NAME >&2; exit 1", Output: "value\n", Shown: true}, true},
		{Step{Command: "echo $NAME; exit 3", Output: "value\n", Shown: true}, false},
		{Step{Command: "true"}, true},
		{Step{Command: "false"}, false},
		{Step{Command: "false | true"}, false},
		{Step{Command: "cd a"}, true},
		{Step{Command: "export NAME=other"}, true},
		{Step{Command: "echo $NAME $(ls)", Output: "other b.yaml\n", Shown: true}, true},
	} {
		if err := reader.TakeStep(context.Background(), row.step); (err == nil) != row.fine {
			t.Errorf("%+v: %v", row.step, err)
		}
	}
}

func TestMatches(t *testing.T) {
	for _, row := range []struct {
		shown, output string
		want          bool
	}{
		{"a\n", "a\n", true},
		{"a\n", "a", true},
		{"a\n", "a\nb\n", false},
		{"a … c\n", "a b c\n", true},
		{"a … c\n", "a b d\n", false},
		{"…\nc\n", "a\nb\nc\n", true},
		{"…\n", "", true},
		{"a\n…\n", "a\n", true},
		{"a\n…\n", "b\n", false},
		{"a.c\n", "abc\n", false},
	} {
		if got := MatchesOutput(row.shown, row.output); got != row.want {
			t.Errorf("%q, %q: got %v", row.shown, row.output, got)
		}
	}
}
