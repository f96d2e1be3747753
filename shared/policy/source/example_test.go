package source_test

import (
	"fmt"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/policy/source"
)

// Of a rejected document, the last good version stays active.
func ExampleLoader_LoadEach() {
	const text = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules: [{name: everyone, effect: allow, to: {methods: [%s]}}]
`
	files := fstest.MapFS{"orders.yaml": {Data: []byte(fmt.Sprintf(text, "GET"))}}
	folder := source.Dir{Name: "shop", Files: files}
	loader := source.Loader{Memory: new(source.Memory)}
	first := loader.LoadEach(nil, folder)

	files["orders.yaml"] = &fstest.MapFile{Data: []byte(fmt.Sprintf(text, "get"))}
	second := loader.LoadEach(first.Set, folder)
	fmt.Println(second.Problems)
	fmt.Println(second.Rejected[0].Name, "denied:", second.Rejected[0].Denied)
	fmt.Println("documents:", second.Set.Len())
	// Output:
	// shop/orders.yaml:6:58: method "get": methods are written in capitals: write GET
	// orders denied: false
	// documents: 1
}
