package strictyaml_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/strictyaml"
)

type config struct {
	Name    string            `yaml:"name"`
	Port    int               `yaml:"port"`
	Wait    time.Duration     `yaml:"wait"`
	Tags    []string          `yaml:"tags"`
	Inner   inner             `yaml:"inner"`
	List    []inner           `yaml:"list"`
	Mapping map[string]inner  `yaml:"mapping"`
	Free    map[string]string `yaml:"free"`
	Since   time.Time         `yaml:"since"`
	Ratio   float64           `yaml:"ratio"`
	Any     map[string]any    `yaml:"any"`
}

type inner struct {
	Key string `yaml:"key"`
}

func TestRefusals(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"comment only", "# nothing\n", "the file is empty"},
		{"null document", "---\n---\nname: x\n", "1:1: an empty document: remove the --- above it, or write the document"},
		{"second document", "name: x\n---\nname: y\n", "3:1: a second document: one is expected"},
		{"half-written", "name: [a, b", "1: a list that begins with [ does not end: write ], or put its texts in quotes"},
		{"anchor", "name: &a x\n", "1:7: anchors, aliases and merge keys are not read: write the value out"},
		{"merge key", "free: {<<: {a: b}}\n", "1:8: anchors, aliases and merge keys are not read: write the value out"},
		{"unknown key", "nmae: x\n", `1:1: unknown key "nmae" (did you mean "name"?); known here: any, free, inner, list, mapping, name, port, ratio, since, tags, wait`},
		{"unknown key inside", "inner: {kee: x}\n", `1:9: unknown key "kee" (did you mean "key"?); known here: key`},
		{"unknown key in a list", "list:\n  - key: a\n  - kee: b\n", `3:5: unknown key "kee" (did you mean "key"?); known here: key`},
		{"unknown key in a mapping", "mapping:\n  a: {kee: b}\n", `2:7: unknown key "kee" (did you mean "key"?); known here: key`},
		{"no value", "name:\n", "1:6: name has no value: remove it or give it one"},
		{"no value in a list", "tags: [a, ~]\n", "1:11: entry 2 of tags has no value: remove it or give it one"},
		{"key twice", "name: a\nname: b\n", `2:1: key "name" is in line 1 too: keep one of them`},
		{"number", "port: many\n", `1:7: port: want a whole number, not the text "many"`},
		{"octal", "port: 0123\n", `1:7: YAML reads 0123 as the number 83: write that, or "0123" with its quotes if it is a text`},
		{"hexadecimal", "port: 0x1F\n", `1:7: YAML reads 0x1F as the number 31: write that, or "0x1F" with its quotes if it is a text`},
		{"digits apart", "any: {a: [1_000]}\n", `1:11: YAML reads 1_000 as the number 1000: write that, or "1_000" with its quotes if it is a text`},
		{"octal below free data", "any: {a: {b: [x, 0o17]}}\n", `1:18: YAML reads 0o17 as the number 15: write that, or "0o17" with its quotes if it is a text`},
		{"binary", "any: {a: 0b11}\n", `1:10: YAML reads 0b11 as the number 3: write that, or "0b11" with its quotes if it is a text`},
		{"a plus sign", "any: {a: +5}\n", `1:10: YAML reads +5 as the number 5: write that, or "+5" with its quotes if it is a text`},
		{"a tag", "any: {a: !!int '012'}\n", `1:10: YAML reads 012 as the number 10: write that, or "012" with its quotes if it is a text`},
		{"no number", "ratio: .inf\n", `1:8: YAML reads .inf as the number +Inf: write that, or ".inf" with its quotes if it is a text`},
		{"half a fraction", "ratio: .5\n", `1:8: YAML reads .5 as the number 0.5: write that, or ".5" with its quotes if it is a text`},
		{"numbers as JSON writes them", "port: 0\nratio: 1.5e3\nany: {a: [-7, 10, 0.5, 012x, '0123', 1:30]}\n", ""},
		{"digits in a text", "name: 0123\ntags: [1_000, 0x1F]\nfree: {a: 007}\n", ""},
		{"duration without a unit", "wait: 60\n", "1:7: wait: want a duration such as 30s or 7d, not the number 60; write the unit, as in 60s"},
		{"mapping for text", "name: {a: b}\n", "1:7: name: want a text, not a mapping"},
		{"text for mapping", "inner: x\n", `1:8: inner: want a mapping with the keys key, not the text "x"`},
		{"all together", "nmae: x\nport: many\nwait: soon\n", "1:1: unknown key \"nmae\" (did you mean \"name\"?); known here: any, free, inner, list, mapping, name, port, ratio, since, tags, wait\n2:7: port: want a whole number, not the text \"many\"\n3:7: wait: want a duration such as 30s or 7d, not the text \"soon\""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := decode(row.text); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// The place is where the mistake is, not where the library gives up.
func TestSyntax(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"a star in a list", "name: a\ntags: [*]\n", `2:8: put a text that begins with * in quotes: "*"`},
		{"a star and more", "tags:\n  - *.shop\n", `2:5: put a text that begins with * in quotes: "*.shop"`},
		{"a star as a value", "name: *\n", `1:7: put a text that begins with * in quotes: "*"`},
		{"braces in a list", "name: a\nport: 1\ntags: [/tenants/{tenant}/orders, /b]\nwait: 1s\n", `3:8: put a text with { and } in it in quotes: "/tenants/{tenant}/orders"`},
		{"braces in a list, twice", "tags: [/a/{b}, /c/{d}]\n", `1:8: put a text with { and } in it in quotes: "/a/{b}"`},
		{"a quote that is not closed", "name: a\nfree:\n  a: \"b\n  c: d\n", `3:6: the quote " is not closed in this line`},
		{"a quote in a list", "tags: [\"a, b]\nname: x\n", `1:8: the quote " is not closed in this line`},
		{"a colon in a text", "name: a: b\n", `1:7: put a text with ": " in it in quotes: "a: b"`},
		{"a colon and a quote", "name: a == 'x': b\n", `1:7: put a text with ": " in it in quotes: "a == 'x': b"`},
		{"an entry that is indented too little", "list:\n  - key: a\n - key: b\n", "3:2: this line begins in column 2; begin it in column 3, as its neighbours do"},
		{"a key that is indented too much", "inner:\n  key: a\n    other: b\n", "3:5: this line begins in column 5; begin it in column 3, as its neighbours do"},
		{"a tab", "inner:\n\tkey: a\n", "2: a tab in the indentation: YAML is indented with spaces only"},
		{"Latin-1", "name: a # caf\xe9\n", "1:14: the byte 0xE9 is not UTF-8: save the file as UTF-8"},
		{"an open list in a later line", "name: x\nfree: {}\ntags: [a\nport: 1\n", "3: a list that begins with [ does not end: write ], or put its texts in quotes"},
		{"an unquoted !", "name: x\ntags: [!x]\n", `2:8: put a text that begins with ! in quotes: "!x"`},
		{"an unquoted @", "tags: [a, @x]\n", `1:11: put a text that begins with @ in quotes: "@x"`},
		{"an unquoted %", "name: %x\n", `1:7: put a text that begins with % in quotes: "%x"`},
		{"an open mapping", "free: {a: b\n", "1: a mapping that begins with { does not end: write }, or put its texts in quotes"},
		{"nested too far", "tags: [[[[", "1: a list or mapping that begins with [ or { does not end, or a value is missing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := decode(row.text); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

// The library compares each key of a mapping with all others.
func TestAMappingWithTooManyKeys(t *testing.T) {
	text := func(keys int) string {
		var b strings.Builder
		b.WriteString("free:\n")
		for i := range keys {
			fmt.Fprintf(&b, "  k%d: v\n", i)
		}
		return b.String()
	}
	if got := decode(text(5000)); got != "" {
		t.Errorf("5000 keys: got %s", got)
	}
	if got, want := decode(text(5001)), "2:3: a mapping with more than 5000 keys"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShapes(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"a text for a list", "tags: a\n", `1:7: tags: want a list, not the text "a"; write tags: [a]`},
		{"a star for a list", "tags: '*'\n", `1:7: tags: want a list, not the text "*"; write tags: ["*"]`},
		{"a mapping for a list of mappings", "list: {key: a}\n", `1:7: list: want a list, not a mapping; begin the entry with -`},
		{"a text for a mapping of texts", "free: x\n", `1:7: free: want a mapping of NAME: VALUE, not the text "x"`},
		{"a list for a text", "name: [a]\n", `1:7: name: want a text, not a list`},
		{"a text in a list of mappings", "list: [a]\n", `1:8: entry 1 of list: want a mapping with the keys key, not the text "a"`},
		{"a list for the whole", "- a\n", `1:1: the document: want a mapping with the keys any, free, inner, list, mapping, name, port, ratio, since, tags, wait, not a list`},
		{"a fraction", "port: 1.5\n", `1:7: port: want a whole number, not the number 1.5`},
		{"a text for a time", "since: noon\n", `1:8: since: want a time such as 2026-06-01T12:00:00Z, not the text "noon"`},
		{"a long text", "port: " + strings.Repeat("x", 100) + "\n", `1:7: port: want a whole number, not the text "` + strings.Repeat("x", 60) + `…"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			if got := decode(row.text); got != row.want {
				t.Errorf("got\n%s\nwant\n%s", got, row.want)
			}
		})
	}
}

func decode(text string) string {
	doc, err := strictyaml.Parse([]byte(text))
	if err == nil {
		err = doc.Decode(new(config)).Err()
	}
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestEmpty(t *testing.T) {
	doc, err := strictyaml.Parse([]byte("tags: []\nname: ''\ninner: {}\nlist: [{key: a}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "1:7: tags is empty: remove it or give it a value\n" +
		"2:7: name is empty: remove it or give it a value\n" +
		"3:8: inner is empty: remove it or give it a value"
	if got := doc.EmptyValues().InFile("").Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPositions(t *testing.T) {
	doc, err := strictyaml.Parse([]byte("name: x\nlist:\n  - key: a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := doc.PositionOf("list", 0, "key"), (strictyaml.Position{Line: 3, Column: 10}); got != want {
		t.Errorf("existing: got %v, want %v", got, want)
	}
	if got, want := doc.PositionOf("list", 1, "key"), (strictyaml.Position{Line: 3, Column: 3}); got != want {
		t.Errorf("nearest: got %v, want %v", got, want)
	}
	if doc.Has("list", 1) || !doc.Has("list", 0, "key") {
		t.Error("Has is wrong")
	}
}

func TestDurationsTakeDays(t *testing.T) {
	type entry struct {
		Wait time.Duration `yaml:"wait"`
	}
	var got struct {
		One  time.Duration            `yaml:"one"`
		Ptr  *time.Duration           `yaml:"ptr"`
		List []entry                  `yaml:"list"`
		Map  map[string]time.Duration `yaml:"map"`
		Text string                   `yaml:"text"`
	}
	doc, err := strictyaml.Parse([]byte("one: 7d\nptr: 1d12h\nlist: [{wait: 30s}, {wait: \"2d\"}]\nmap: {a: 3d}\ntext: 7d\n"))
	if err != nil {
		t.Fatal(err)
	}
	if problems := doc.Decode(&got); len(problems) > 0 {
		t.Fatal(problems)
	}
	const day = 24 * time.Hour
	if got.One != 7*day || *got.Ptr != 36*time.Hour || got.List[0].Wait != 30*time.Second || got.List[1].Wait != 2*day || got.Map["a"] != 3*day || got.Text != "7d" {
		t.Errorf("got %+v", got)
	}
	doc, err = strictyaml.Parse([]byte("one: 7days\nlist: [{wait: d}]\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "1:6: one: want a duration such as 30s or 7d, not the text \"7days\"\n2:15: wait: want a duration such as 30s or 7d, not the text \"d\""
	if problems := doc.Decode(&got); problems.Error() != want {
		t.Errorf("got %s", problems)
	}
}
