package rbac_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/rbac"
	"github.com/meshpass/meshpass/extauthz/internal/syslint/objects"
)

const ordersAPI = `{"api_id": "orders", "name": "orders", "org_id": "demo", "use_standard_auth": true, "proxy": {"listen_path": "/orders/", "strip_listen_path": true, "target_url": "http://orders:8080"},
	"version_data": {"not_versioned": true, "versions": {"Default": {"name": "Default", "use_extended_paths": true}}}}`

const ordersPolicy = `{"reader": {"id": "reader", "org_id": "demo", "access_rights": {"orders": {"api_id": "orders", "versions": ["Default"], "allowed_urls": [{"url": "/", "methods": ["GET"]}]}}}}`

const ordersDocument = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: orders}
spec:
  targets: {workloads: [ns/shop/sa/orders]}
  rules: [{name: read, effect: allow, to: {methods: [GET], paths: [/items/**]}}]
`

// The examples of a comparison come by the host and the port at which clients reach the API. Otherwise a grant would admit nothing.
func TestEntrances(t *testing.T) {
	parent := strings.NewReplacer(`"orders"`, `"parent"`, "/orders/", "/parent/", `"use_standard_auth"`,
		`"domain": "parent.example", "definition": {"enabled": true, "name": "base", "default": "base", "location": "header", "key": "X-V", "versions": {"v2": "orders"}}, "use_standard_auth"`).Replace(ordersAPI)
	for name, test := range map[string]struct{ conf, api, more string }{
		"every host":                {"", "", ""},
		"host_name":                 {`"host_name": "api.example", `, "", ""},
		"a domain":                  {"", `"domain": "shop.example", `, ""},
		"a domain with a parameter": {"", `"domain": "{tenant:[a-z]+}.example", `, ""},
		"a port of its own":         {"", `"listen_port": 9999, `, ""},
		"the domain of another API": {"", `"internal": true, "domain": "inner.example", `, parent},
	} {
		reader := objects.NewReader()
		for i, text := range []string{`{` + test.conf + `"listen_port": 8080, "secret": "x", "app_path": "apps", "enable_custom_domains": true}`, strings.Replace(ordersAPI, "{", "{"+test.api, 1), ordersPolicy, ordersDocument, test.more} {
			if text != "" {
				reader.ReadText(fmt.Sprintf("%d.yaml", i), []byte(text))
			}
		}
		callees := map[string][]string{"orders": {"ns/shop/sa/orders"}}
		if test.more != "" {
			callees["parent"] = []string{"ns/shop/sa/parent"}
		}
		report, err := rbac.Compare(reader.Set, rbac.Options{Callees: callees, Gateway: "ns/edge/sa/tyk"})
		if err != nil {
			t.Fatal(err)
		}
		wider := 0
		for _, row := range report.Rows {
			if row.Kind == rbac.Wider && !row.IsRule && row.API == "orders" && !row.Alias {
				wider++
			}
		}
		if wider != 1 || len(report.Unchecked) > 0 {
			t.Errorf("%s: %d rows are wider: %+v %+v", name, wider, report.Rows, report.Unchecked)
		}
	}
}
