package source

import (
	"encoding/json"
	"os"
	"reflect"
	"sort"
	"strings"
	"testing"
	"testing/fstest"
)

// The loader rejects each of the documents whose form is wrong, and accepts the others. A
// test of extauthz checks the same documents with the schema.
func TestDocumentsOfTheSchema(t *testing.T) {
	for file, wanted := range map[string]bool{"testdata/accepted.yaml": true, "testdata/refused.yaml": false} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range strings.Split(string(data), "---\n") {
			_, err := Loader{}.Load(Dir{Files: fstest.MapFS{"p.yaml": {Data: []byte(text)}}})
			if (err == nil) != wanted {
				t.Errorf("%s: %v", strings.SplitN(text, "\n", 2)[0], err)
			}
		}
	}
}

// Schema and loader know the same fields.
func TestFieldsOfTheSchema(t *testing.T) {
	var root object
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	compareFields(t, "document", root, root, reflect.TypeFor[AccessPolicy]())
}

type object map[string]any

func compareFields(t *testing.T, at string, root, schema object, goType reflect.Type) {
	t.Helper()
	if ref, isRef := schema["$ref"].(string); isRef {
		schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch goType.Kind() {
	case reflect.Slice:
		items, ok := schema["items"].(map[string]any)
		if !ok {
			t.Fatalf("%s: the schema has no list", at)
		}
		compareFields(t, at+"[]", root, items, goType.Elem())
	case reflect.Struct:
		properties, _ := schema["properties"].(map[string]any)
		var want, have []string
		for i := 0; i < goType.NumField(); i++ {
			name := goType.Field(i).Tag.Get("yaml")
			want = append(want, name)
			if property, ok := properties[name].(map[string]any); ok {
				compareFields(t, at+"."+name, root, property, goType.Field(i).Type)
			}
		}
		for name := range properties {
			have = append(have, name)
		}
		sort.Strings(want)
		sort.Strings(have)
		if !reflect.DeepEqual(want, have) || schema["additionalProperties"] != false {
			t.Errorf("%s: the loader knows %v, the schema %v, others %v", at, want, have, schema["additionalProperties"])
		}
	}
}
