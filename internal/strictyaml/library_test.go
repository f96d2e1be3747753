package strictyaml

import (
	"errors"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Users see our words for the library's messages. An update of the library that words one
// differently fails here, and not at the users.
func TestMessagesOfTheLibrary(t *testing.T) {
	samples := map[string]string{
		"found a tab character":                                 "a: \tb\n\tc: d\n",
		"found character that cannot start any token":           "a: @x\n",
		"did not find expected ',' or ']'":                      "a: [b\n",
		"did not find expected node content":                    "a: ]\n",
		"did not find expected ',' or '}'":                      "a: {b: c\n",
		"did not find expected '-' indicator":                   "- a\nb: c\n",
		"did not find expected key":                             "a:\n  b: c\n d: e\n",
		"mapping values are not allowed in this context":        "a: b: c\n",
		"could not find expected ':'":                           "a: b\nc\n",
		"found unexpected end of stream":                        "a: 'b\n",
		"did not find expected alphabetic or numeric character": "a: & b\n",
		"control characters are not allowed":                    "a: \x01\n",
	}
	for _, row := range syntaxMessages {
		sample, found := samples[row.library]
		if !found {
			t.Errorf("no sample of %q", row.library)
			continue
		}
		err := yaml.Unmarshal([]byte(sample), new(yaml.Node))
		if err == nil || !strings.Contains(err.Error(), row.library) {
			t.Errorf("%q: the library says %v, want %s", sample, err, row.library)
			continue
		}
		if got := rewordSyntax(splitLine(err.Error()).Message); got != row.message {
			t.Errorf("%q: got %s, want %s", sample, got, row.message)
		}
	}
}

// The place of a mistake is in the library's text, and the other place of a key that is given twice.
func TestPlacesInMessagesOfTheLibrary(t *testing.T) {
	err := yaml.Unmarshal([]byte("a: b\nc\n"), new(yaml.Node))
	if got := splitLine(err.Error()); got.Line != 2 || strings.Contains(got.Message, "line") {
		t.Errorf("got %+v of %v", got, err)
	}
	err = yaml.Unmarshal([]byte("a: b\na: c\n"), new(struct{ A string }))
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) || len(typeError.Errors) != 1 {
		t.Fatalf("got %T %v", err, err)
	}
	if got, want := rewordError(typeError.Errors[0]).String(), `2: key "a" is in line 1 too: keep one of them`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
