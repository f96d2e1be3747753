package strictyaml_test

import (
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/strictyaml"
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
}

type inner struct {
	Key string `yaml:"key"`
}

func TestRefusals(t *testing.T) {
	rows := []struct{ name, text, want string }{
		{"empty", "", "the file is empty"},
		{"comment only", "# nothing\n", "the file is empty"},
		{"null document", "---\n---\nname: x\n", "1:1: an empty document"},
		{"second document", "name: x\n---\nname: y\n", "3:1: a second document: one is expected"},
		{"half-written", "name: [a, b", "1: did not find expected ',' or ']'"},
		{"anchor", "name: &a x\n", "1:7: anchors, aliases and merge keys are not read: write the value out"},
		{"merge key", "free: {<<: {a: b}}\n", "1:8: anchors, aliases and merge keys are not read: write the value out"},
		{"unknown key", "nmae: x\n", `1:1: unknown key "nmae"; known here: free, inner, list, mapping, name, port, tags, wait`},
		{"unknown key inside", "inner: {kee: x}\n", `1:9: unknown key "kee"; known here: key`},
		{"unknown key in a list", "list:\n  - key: a\n  - kee: b\n", `3:5: unknown key "kee"; known here: key`},
		{"unknown key in a mapping", "mapping:\n  a: {kee: b}\n", `2:7: unknown key "kee"; known here: key`},
		{"no value", "name:\n", "1:6: name has no value: remove it or give it one"},
		{"no value in a list", "tags: [a, ~]\n", "1:11: entry 2 has no value: remove it or give it one"},
		{"key twice", "name: a\nname: b\n", `2: mapping key "name" already defined at line 1`},
		{"number", "port: many\n", "1: cannot read the text `many` as a number"},
		{"duration without a unit", "wait: 60\n", "1: cannot read the number `60` as a duration such as 30s"},
		{"mapping for text", "name: {a: b}\n", "1: cannot read a mapping as a text"},
		{"text for mapping", "inner: x\n", "1: cannot read the text `x` here: a mapping or list of another shape is expected"},
		{"all together", "nmae: x\nport: many\nwait: soon\n", "1:1: unknown key \"nmae\"; known here: free, inner, list, mapping, name, port, tags, wait\n2: cannot read the text `many` as a number\n3: cannot read the text `soon` as a duration such as 30s"},
	}
	for _, row := range rows {
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
	if got := doc.Empty().In("").Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestPositions(t *testing.T) {
	doc, err := strictyaml.Parse([]byte("name: x\nlist:\n  - key: a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := doc.At("list", 0, "key"), (strictyaml.Position{Line: 3, Column: 10}); got != want {
		t.Errorf("existing: got %v, want %v", got, want)
	}
	if got, want := doc.At("list", 1, "key"), (strictyaml.Position{Line: 3, Column: 3}); got != want {
		t.Errorf("nearest: got %v, want %v", got, want)
	}
	if doc.Has("list", 1) || !doc.Has("list", 0, "key") {
		t.Error("Has is wrong")
	}
}
