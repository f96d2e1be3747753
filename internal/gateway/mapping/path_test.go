package mapping

import (
	"encoding/json"
	"reflect"
	"testing"
)

// The longest name goes first, at every depth, and a name that leads nowhere is not the end.
func TestFindClaim(t *testing.T) {
	var claims map[string]any
	err := json.Unmarshal([]byte(`{
		"a": {"b": {"c": "nested"}, "b.c": "half"}, "x.y": "flat", "x": {"y": "nested"}, "t": "text", "null": null,
		"resource_access": {"orders.api": {"roles": ["reader"]}, "account": {"roles": ["view"]}, "orders": "text"},
		"kubernetes.io": {"namespace": "shop", "pod.name": {"uid": "1"}},
		"https://idp.example.com/app_metadata": {"plan": "gold", "limits.eu": {"a.b.c": "deep"}},
		"p.q": {}, "p": {"q": {"r": "behind an empty object"}}
	}`), &claims)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string) any { return claims[name] }
	for path, want := range map[string]any{
		"x.y": "flat", "a.b.c": "half", "a.b": claims["a"].(map[string]any)["b"], "t.x": nil, "a.z": nil, "": nil, "a.": nil, ".a": nil, "null": nil, "null.x": nil,
		"resource_access.orders.api.roles": []any{"reader"}, "resource_access.account.roles": []any{"view"}, "resource_access.orders.api": map[string]any{"roles": []any{"reader"}},
		"kubernetes.io.namespace": "shop", "kubernetes.io.pod.name.uid": "1",
		"https://idp.example.com/app_metadata.plan": "gold", "https://idp.example.com/app_metadata.limits.eu.a.b.c": "deep",
		"p.q.r": "behind an empty object",
	} {
		if got := FindClaim(claim, path); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
}
