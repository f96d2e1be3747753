package strictjson

import (
	"reflect"
	"strings"
	"testing"
)

func TestObjects(t *testing.T) {
	nested := func(levels int) string { return strings.Repeat(`{"a":`, levels) + `1` + strings.Repeat(`}`, levels) }
	for _, row := range []struct{ name, text, refusal string }{
		{"a name twice", `{"a":1,"b":2,"a":1}`, "a member name appears twice"},
		{"a name twice, once escaped", `{"a":1,"\u0061":2}`, "a member name appears twice"},
		{"a name twice, far down", `{"a":[{"b":1},{"b":{"c":1,"c":2}}]}`, "a member name appears twice"},
		{"a name twice, the first with members", `{"a":{"b":1,"c":2},"a":1}`, "a member name appears twice"},
		{"a name twice, the last with members", `{"a":1,"a":{"b":1,"c":2}}`, "a member name appears twice"},
		{"an empty name twice", `{"":1,"":1}`, "a member name appears twice"},
		{"a name twice, with colons and quotes", `{":\":":1,":\":":1}`, "a member name appears twice"},
		{"as deep as may be", nested(maxDepth), ""},
		{"too deep", nested(maxDepth + 1), "nested deeper than 8"},
		{"too deep, in lists", `{"a":[[[[[[[[[]]]]]]]]]}`, "nested deeper than 8"},
		{"as deep as may be, in lists", `{"a":[[[[[[[1]]]]]]]}`, ""},
		{"too deep, and empty", `{"a":[[[[[[[[]]]]]]]]}`, "nested deeper than 8"},
		{"far too deep", strings.Repeat(`{"a":[`, 4000), "not JSON"},
		{"a comma at the end", `{"a":1,}`, "not JSON"},
		{"a comma at a list's end", `{"a":[1,]}`, "not JSON"},
		{"cut off", `{"a":1`, "not JSON"},
		{"nothing", ``, "not JSON"},
		{"a second object", `{"a":1}{}`, "something follows the object"},
		{"a list", `[{"a":1}]`, "not an object"},
		{"null", `null`, "not an object"},
		{"not UTF-8", "{\"a\":\"\xff\"}", "not UTF-8"},
		{"a number out of range", `{"a":1e400}`, "a number out of range"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, err := ParseObject([]byte(row.text))
			if row.refusal == "" && err == nil {
				return
			}
			if got != nil || err == nil || err.Error() != row.refusal {
				t.Errorf("got %v, %v; want %q", got, err, row.refusal)
			}
		})
	}
}

func TestParsedValues(t *testing.T) {
	got, err := ParseObject([]byte(` {"int": -1, "float": 1.5, "big": 9223372036854775808, "text": "a:\"b\\", "list": [1, {"x": null}], "yes": true} ` + "\n"))
	want := map[string]any{
		"int": int64(-1), "float": 1.5, "big": 9223372036854775808.0, "text": `a:"b\`,
		"list": []any{int64(1), map[string]any{"x": nil}}, "yes": true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
}
