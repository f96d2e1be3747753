package lint_test

import (
	"fmt"
	"testing/fstest"

	"github.com/meshpass/meshpass/shared/policy/lint"
	"github.com/meshpass/meshpass/shared/policy/source"
)

func ExampleRun() {
	folder := source.Dir{Name: "shop", Files: fstest.MapFS{"orders.yaml": {Data: []byte(`
apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  identity: optional
  rules:
    - {name: no-admin, effect: deny, to: {paths: [/admin/**]}}
    - {name: others, effect: allow, to: {methods: [GET]}}
`)}}}
	problems, warnings := lint.Run(source.Loader{}, folder)
	fmt.Println("problems:", len(problems))
	for _, w := range warnings {
		fmt.Println(w.Code, w.Problem)
	}
	// Output:
	// problems: 0
	// deny_root shop/orders.yaml:9:51: /admin/** does not match /admin, which is not denied; add /admin to paths
}
