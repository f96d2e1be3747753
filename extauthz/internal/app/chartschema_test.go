package app

import (
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/shared/policy"
)

var updateChart = flag.Bool("update", false, "write charts/meshpass/values.schema.json instead of comparing it")

const chartSchema = "../../../charts/meshpass/values.schema.json"

// TestChartKnowsEveryKey compares the section config of the chart's schema with the configuration, key by key.
func TestChartKnowsEveryKey(t *testing.T) {
	data, err := os.ReadFile(chartSchema)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	want := describeType(reflect.TypeFor[config]())
	properties := want["properties"].(map[string]any)
	properties["listeners"].(map[string]any)["minItems"] = 1.0
	for path, values := range map[string][]string{
		"tls.mode": {mtls, server, mesh, plaintext}, "policies.unguarded": {unguardedDeny, string(policy.Shadow)}, "revocation.onStale": {onStaleAllow, onStaleDeny},
		"listeners.caller": {byPrincipal, byXFCC, byNobody},
	} {
		setting := want
		for _, key := range strings.Split(path, ".") {
			if items, isList := setting["items"]; isList {
				setting = items.(map[string]any)
			}
			setting = setting["properties"].(map[string]any)[key].(map[string]any)
		}
		setting["enum"] = toAny(values)
	}
	properties["trust"].(map[string]any)["items"].(map[string]any)["required"] = toAny([]string{"issuer", "audience", "jwks"})
	chain := properties["audit"].(map[string]any)["properties"].(map[string]any)["chain"].(map[string]any)
	chain["required"] = []any{"key"}
	chain["properties"].(map[string]any)["key"].(map[string]any)["minLength"] = 1.0
	all := schema["properties"].(map[string]any)
	if *updateChart {
		all["config"] = want
		text, err := json.MarshalIndent(schema, "", "  ")
		if err == nil {
			err = os.WriteFile(chartSchema, append(text, '\n'), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	if !reflect.DeepEqual(all["config"], any(want)) {
		t.Errorf("properties.config of %s differs from the keys of the configuration: run this test with -update", chartSchema)
	}
}

func toAny(texts []string) (list []any) {
	for _, text := range texts {
		list = append(list, text)
	}
	return list
}

// describeType gives the JSON Schema of a type of the configuration: its keys, and the kind of each value. What values mean is
// checked by the authorizer.
func describeType(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string"}
	case t == reflect.TypeFor[bytesize.Size](), t == reflect.TypeFor[verifiedTokens]():
		return map[string]any{"type": []any{"string", "integer"}}
	}
	switch t.Kind() {
	case reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			if key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ","); key != "" && key != "-" {
				properties[key] = describeType(t.Field(i).Type)
			}
		}
		return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": describeType(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": describeType(t.Elem())}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Int:
		return map[string]any{"type": "integer"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.String:
		return map[string]any{"type": "string"}
	default:
		panic("no schema for " + t.String())
	}
}
