package syslint_test

import (
	"strings"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/syslint"
)

// What Meshpass rejects beyond the form of a file is named with its place, and the rest of the file is checked.
func TestRejectedValues(t *testing.T) {
	const authorizer, plugin, orders = "ConfigMap meshpass/meshpass-config:meshpass.yaml", "ConfigMap edge/meshpass-plugin:plugin.yaml", "ConfigMap meshpass/meshpass-policies:orders.yaml"
	type edit struct{ title, before, after string }
	for name, row := range map[string]struct {
		edits []edit
		want  string // what is not checked; empty: everything is
	}{
		"no TLS beyond loopback":       {[]edit{{authorizer, `{mode: mesh, clients: [ns/shop/sa/*]}`, `{mode: plaintext}`}}, "authorizer configuration: listeners[0].grpc"},
		"any host":                     {[]edit{{plugin, `["*.svc.cluster.local"]`, `["*"]`}}, "plugin configuration: upstreams[0]"},
		"no such subject":              {[]edit{{plugin, `meta.developer_id`, `nothing`}}, "plugin configuration: apiKeys.subject"},
		"the name of another document": {[]edit{{orders, `name: orders}`, `name: reports}`}}, "another document of its folder has the name reports"},
		"an outage that cannot happen": {[]edit{{orders, "rules:", "onOutage: allow\n  rules:"}, {authorizer, "jwks: {file: jwks.json}", "home: false\n    jwks: {file: jwks.json}"}},
			"AccessPolicy: onOutage: allow needs an entry of trust with home: true"},
		"an outage that can happen": {[]edit{{orders, "rules:", "onOutage: allow\n  rules:"}}, ""},
		"files of a remote key set": {[]edit{{authorizer, "jwks: {file: jwks.json}", `jwks: {url: "https://keys.example/jwks.json", caFile: ca.pem, seed: /var/lib/meshpass/seed.json}`}}, ""},
		"two folders of one name":   {[]edit{{authorizer, `dirs: [{path: policies}]`, `dirs: [{path: policies}, {path: /etc/team/policies}]`}}, `two folders are named "policies"`},
		"a variable":                {[]edit{{authorizer, `"0.0.0.0:9090"`, `"${POD_IP}:9090"`}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInstallation(t)
			for _, e := range row.edits {
				in.edit(t, e.title, []string{e.before}, []string{e.after})
			}
			var got []string
			for _, u := range syslint.Run(in.read(t)).Unchecked {
				got = append(got, u.Place.String()+": "+u.Reason)
			}
			text := strings.Join(got, "\n")
			if row.want == "" && text != "" || row.want != "" && (len(got) != 1 || !strings.Contains(text, row.want)) {
				t.Errorf("got %q, want %q", text, row.want)
			}
		})
	}
}
