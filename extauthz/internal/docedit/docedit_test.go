package docedit_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
)

// edits are the changes that each row of TestEdits makes: a member with a list of one object, and an entry at both ends of `list`.
func applyEdits(t *testing.T, text string) (string, error) {
	t.Helper()
	f, err := docedit.Parse("f", []byte(text))
	if err != nil {
		return "", err
	}
	root := f.Documents[0]
	if err := f.AddMembers(root, "object", docedit.Pair{Key: "added", Value: []any{[]docedit.Pair{{Key: "name", Value: "A"}, {Key: "on", Value: true}}}}); err != nil {
		return "", err
	}
	if root.Find("list") != nil {
		if err := f.AddItem(root, "list", []docedit.Pair{{Key: "id", Value: "first"}}, true); err != nil {
			return "", err
		}
		if err := f.AddItem(root, "list", []docedit.Pair{{Key: "id", Value: "last"}}, false); err != nil {
			return "", err
		}
	}
	after, err := f.Apply()
	return string(after), err
}

func TestEdits(t *testing.T) {
	for name, row := range map[string]struct{ before, after string }{
		"compact JSON": {`{"z":1,"object":{"a":"\u00e9"},"list":[{"n":"x"}]}`,
			`{"z":1,"object":{"a":"\u00e9","added":[{"name":"A","on":true}]},"list":[{"id":"first"},{"n":"x"},{"id":"last"}]}`},
		"JSON in one line": {`{"object": {}, "list": [ {"n": "x"} ]}`,
			`{"object": {"added": [{"name": "A", "on": true}]}, "list": [ {"id": "first"}, {"n": "x"}, {"id": "last"} ]}`},
		"JSON with lines": {"{\n\t\"list\": [\n\t\t{\"n\": \"x\"}\n\t],\n\t\"z\": 1.0\n}\n",
			"{\n\t\"list\": [\n\t\t{\n\t\t\t\"id\": \"first\"\n\t\t},\n\t\t{\"n\": \"x\"},\n\t\t{\n\t\t\t\"id\": \"last\"\n\t\t}\n\t],\n\t\"z\": 1.0,\n" +
				"\t\"object\": {\n\t\t\"added\": [\n\t\t\t{\n\t\t\t\t\"name\": \"A\",\n\t\t\t\t\"on\": true\n\t\t\t}\n\t\t]\n\t}\n}\n"},
		"JSON null": {"{\n  \"object\": null\n}",
			"{\n  \"object\": {\n    \"added\": [\n      {\n        \"name\": \"A\",\n        \"on\": true\n      }\n    ]\n  }\n}"},
		"JSON with CRLF": {"{\r\n  \"object\": {\r\n    \"a\": 1\r\n  }\r\n}\r\n",
			"{\r\n  \"object\": {\r\n    \"a\": 1,\r\n    \"added\": [\r\n      {\r\n        \"name\": \"A\",\r\n        \"on\": true\r\n      }\r\n    ]\r\n  }\r\n}\r\n"},
		"YAML blocks": {"# head\nobject: # why\n  a: 1   # one\n\n# list\nlist:\n# x\n- n: x\n  m: |\n    text\n\n    # no comment\n\n# tail\n",
			"# head\nobject: # why\n  a: 1   # one\n  added:\n  - name: A\n    \"on\": true\n\n# list\nlist:\n# x\n- id: first\n- n: x\n  m: |\n    text\n\n    # no comment\n- id: last\n\n# tail\n"},
		"YAML flow": {"object: {a: 'it''s {', b: \"]\\\"\"} # end\nlist: [\n  {n: x}, # why\n  {n: y}\n]\n",
			"object: {a: 'it''s {', b: \"]\\\"\", added: [{name: A, \"on\": true}]} # end\nlist: [\n  {id: first},\n  {n: x}, # why\n  {n: y},\n  {id: last}\n]\n"},
		"YAML without a value":     {"object:\nz: 1\n", "object:\n  added:\n    - name: A\n      \"on\": true\nz: 1\n"},
		"YAML null":                {"object: null  \nz: 1\n", "object:\n  added:\n    - name: A\n      \"on\": true  \nz: 1\n"},
		"YAML with an empty one":   {"z: 1\nobject: {}", "z: 1\nobject:\n  added:\n    - name: A\n      \"on\": true"},
		"YAML with an empty value": {"object: {}  # none\nz: é\n", "object: {added: [{name: A, \"on\": true}]}  # none\nz: é\n"},
		"YAML, absent, no end":     {"z:\n    - 1", "z:\n    - 1\nobject:\n  added:\n      - name: A\n        \"on\": true"},
		"YAML, four spaces":        {"z:\n    y: 1\n", "z:\n    y: 1\nobject:\n    added:\n        - name: A\n          \"on\": true\n"},
		"YAML as kubectl prints":   {"z:\n- y:\n    x: 1\n", "z:\n- y:\n    x: 1\nobject:\n  added:\n  - name: A\n    \"on\": true\n"},
		"JSON with a mark":         {"\uFEFF{\"z\":1}", "\uFEFF{\"z\":1,\"object\":{\"added\":[{\"name\":\"A\",\"on\":true}]}}"},
		"YAML with a mark":         {"\uFEFFz: 1\n", "\uFEFFz: 1\nobject:\n  added:\n    - name: A\n      \"on\": true\n"},
		"YAML, two documents":      {"object:\n  a: 1\n---\nobject:\n  a: 2\n", "object:\n  a: 1\n  added:\n    - name: A\n      \"on\": true\n---\nobject:\n  a: 2\n"},
		"YAML with CRLF":           {"object:\r\n  a: 1\r\nz: 1\r\n", "object:\r\n  a: 1\r\n  added:\r\n    - name: A\r\n      \"on\": true\r\nz: 1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := applyEdits(t, row.before)
			if err != nil || got != row.after {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, row.after)
			}
		})
	}
}

// A file that cannot be read, or edited without a change of other parts, is rejected.
func TestRejectedFiles(t *testing.T) {
	for text, want := range map[string]string{
		`{"object": {}, "object": {}}`:      `f:1:16: "object" is there twice`,
		"object: {}\nz: 1\nz: 2\n":          `f:3:1: "z" is there twice`,
		`{"object": `:                       "f:1:11: the JSON value is incomplete",
		"{\n  \"a\":\n":                     "f:2:7: the JSON value is incomplete",
		`{"a": "b`:                          "f:1:9: the JSON value is incomplete",
		`{"object": {]}`:                    "f:1:13: no JSON",
		`{} {}`:                             "f:1:4: want one JSON value, and nothing after it",
		"a: [":                              "no YAML",
		"a:\n\tb: 1\n":                      "f:2: no YAML: a tab in the indentation: YAML is indented with spaces only",
		"{\n  // why\n  \"a\": 1}":          "f:2:3: JSON has no comments: remove this one",
		`{"a": ` + strings.Repeat("[", 300): "more than 200 levels",
		"a: " + strings.Repeat("[", 300) + strings.Repeat("]", 300): "more than 200 levels",
		"object: &x\n  a: 1\nb: *x\n":                               "f:1:9: object: it has an anchor",
		"x: &x\n  a: 1\nobject: *x\n":                               "object: want an object",
		"object: 1\n":                                               "f:1:9: object: want an object",
		"object: []\n":                                              "f:1:9: object: want an object",
		`{"list": {"a": 1}}`:                                        "list: want a list",
		"object: !!map\n  a: 1\n":                                   "has an anchor",
		"object: {a: 1, # why {\n  b: 2 # end\n}":                   "a comment is before the closing bracket",
	} {
		if got, err := applyEdits(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %q\n%s", text, err, want, got)
		}
	}
}

// A text of a ConfigMap keeps its indentation.
func TestReplaceLiteral(t *testing.T) {
	const before = "data:\n  a: |\n      one\n\n      two\n  # why\n  b: |-\n    {}\nz: 1\n"
	f, err := docedit.Parse("f", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	data := f.Documents[0].Find("data")
	for key, text := range map[string]string{"a": "one\n\n{\n}\n", "b": "{\n  \"x\": 1\n}"} {
		if err := f.ReplaceLiteral(data.Find(key), text); err != nil {
			t.Fatal(err)
		}
	}
	const want = "data:\n  a: |\n      one\n\n      {\n      }\n  # why\n  b: |-\n    {\n      \"x\": 1\n    }\nz: 1\n"
	if got, err := f.Apply(); err != nil || string(got) != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	folded, err := docedit.Parse("f", []byte("a: >\n  text\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := folded.ReplaceLiteral(folded.Documents[0].Find("a"), "x\n"); err == nil || !strings.Contains(err.Error(), "want a text in literal style") {
		t.Errorf("got %v", err)
	}
}

// Whatever the file is, an edit leaves valid content or none.
func FuzzEdits(f *testing.F) {
	for _, text := range []string{`{"object":{"a":1},"list":[{}]}`, "object:\n  a: 1\nlist:\n- n: x\n", "object: {a: 1}\nlist: [1]\n", "object:\nlist:\n  - |\n    x\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		file, err := docedit.Parse("f", []byte(text))
		if err != nil || len(file.Documents) == 0 || file.Documents[0].Kind != docedit.Object {
			return
		}
		_ = file.AddMembers(file.Documents[0], "object", docedit.Pair{Key: "added", Value: "x"})
		_ = file.AddItem(file.Documents[0], "list", "x", true)
		after, err := file.Apply()
		if err != nil {
			return
		}
		if _, err := docedit.Parse("f", after); err != nil {
			t.Errorf("%v\n%s", err, after)
		}
	})
}
