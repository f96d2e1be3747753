package kubeservices_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/extauthz/internal/services/kubeservices"
)

// As kubectl 1.37 prints it; some fields that are not read are kept.
const printed = `
apiVersion: v1
kind: List
metadata: {resourceVersion: ""}
items:
- apiVersion: v1
  kind: Service
  metadata: {name: orders, namespace: shop, uid: 6f0c, labels: {app: orders}}
  spec:
    clusterIP: 10.96.12.7
    clusterIPs: [10.96.12.7, "fd00:10:96::c07"]
    ipFamilies: [IPv4, IPv6]
    type: ClusterIP
    ports:
    - {name: http, port: 8080, protocol: TCP, targetPort: http}
    - {name: grpc, port: 9090, protocol: TCP, targetPort: 9090, nodePort: 30090}
- {apiVersion: v1, kind: Service, metadata: {name: db, namespace: shop}, spec: {clusterIP: None, clusterIPs: [None], ports: [{port: 5432, protocol: TCP}]}}
- {apiVersion: v1, kind: Service, metadata: {name: dns, namespace: kube-system}, spec: {clusterIP: 10.96.0.10, ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]}}
- {apiVersion: v1, kind: Service, metadata: {name: ntp, namespace: kube-system}, spec: {clusterIP: 10.96.0.11, ports: [{port: 123, protocol: UDP}]}}
- {apiVersion: v1, kind: Service, metadata: {name: partner, namespace: shop}, spec: {type: ExternalName, externalName: partner.example.com}}
- {apiVersion: v1, kind: Service, metadata: {name: new, namespace: shop}, spec: {ports: [{port: 80}]}}
- {apiVersion: v1, kind: Service, metadata: {name: "true", namespace: "0"}, spec: {clusterIP: 10.96.0.12, ports: [{port: 80}]}}
`

const made = `# Written by meshpass services; docs/configuration.md
services:
  - {namespace: "0", name: "true", addresses: ["10.96.0.12"], ports: [80]}
  - {namespace: "kube-system", name: "dns", addresses: ["10.96.0.10"], ports: [53]}
  - {namespace: "shop", name: "orders", addresses: ["10.96.12.7", "fd00:10:96::c07"], ports: [8080, 9090]}
`

var leftOut = []kubeservices.Skipped{
	{Service: "shop/db", Why: "headless: it has no address of its own"},
	{Service: "kube-system/ntp", Why: "it has no TCP port"},
	{Service: "shop/partner", Why: "an external name has no address"},
	{Service: "shop/new", Why: "it has no address yet"},
}

func makeFrom(t *testing.T, text string) kubeservices.File {
	t.Helper()
	list, err := kubeservices.DecodeList(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	file, err := kubeservices.BuildFile(list)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestMake(t *testing.T) {
	file := makeFrom(t, printed)
	if diff := cmp.Diff(made, string(file.Data)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(leftOut, file.Skipped); diff != "" {
		t.Error(diff)
	}
}

// The same Services, however they are listed.
func TestDecode(t *testing.T) {
	const (
		orders = `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "orders", "namespace": "shop"}, "spec": {"clusterIP": "10.96.12.7", "ports": [{"port": 80}]}}`
		bare   = `{"metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.12.8", "ports": [{"port": 80}]}}`
		web    = `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.12.8", "ports": [{"port": 80}]}}`
	)
	for name, text := range map[string]string{
		"a list":            `{"apiVersion": "v1", "kind": "List", "items": [` + orders + "," + web + `]}`,
		"a list of its own": `{"apiVersion": "v1", "kind": "ServiceList", "items": [` + strings.Replace(orders, `"apiVersion": "v1", "kind": "Service", `, "", 1) + "," + bare + `]}`,
		"a stream of YAML":  "---\n" + orders + "\n---\n" + web + "\n---\n",
		"a stream of JSON":  orders + "\n" + web,
	} {
		file := makeFrom(t, text)
		if got := len(file.Services); got != 2 || !strings.Contains(string(file.Data), `"web", addresses: ["10.96.12.8"], ports: [80]`) {
			t.Errorf("%s: got %s", name, file.Data)
		}
	}
	for text, want := range map[string]string{
		`{"apiVersion": "v1", "kind": "Pod"}`: `"Pod" of "v1" is not a Service: want the output of kubectl get services -o yaml`,
		`{"apiVersion": "v1", "kind": "List", "items": [` + orders + `, {"apiVersion": "apps/v1", "kind": "Deployment"}]}`: `items[1]: "Deployment" of "apps/v1" is not a Service`,
		"services:\n- {namespace: shop}\n": `"" of "" is not a Service`,
		"items: [":                         "error converting YAML to JSON",
		`{"apiVersion": "v1", "kind": "Service", "spec": {"ports": [{"port": "http"}]}}`: "cannot unmarshal string",
		"text": "cannot unmarshal string",
	} {
		if list, err := kubeservices.DecodeList(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %s", text, list, err, want)
		}
	}
}

// From nothing, or from what the authorizer would refuse, no file is made.
func TestNoFile(t *testing.T) {
	service := func(name, address string) string {
		return `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "` + name + `", "namespace": "shop"}, "spec": {"clusterIP": "` + address + `", "ports": [{"port": 80}]}}`
	}
	for text, want := range map[string]string{
		"":                    "of 0 Services 0 can be called through a waypoint: no services",
		service("db", "None"): "of 1 Services 0 can be called through a waypoint: no services",
		service("a", "10.0.0.1") + service("b", "10.0.0.1"): "10.0.0.1:80 is taken by service/shop/a",
		service("A", "10.0.0.1"):                            `name "A": want DNS labels`,
		service("a", "10.0.0.1/8"):                          `"10.0.0.1/8" is not an address of a Service`,
	} {
		list, err := kubeservices.DecodeList(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if file, err := kubeservices.BuildFile(list); err == nil || !strings.Contains(err.Error(), want) || file.Data != nil {
			t.Errorf("%s: got %s, %v", text, file.Data, err)
		}
	}
}

func TestWrite(t *testing.T) {
	file, out := makeFrom(t, printed), filepath.Join(t.TempDir(), "services.yaml")
	for _, changed := range []bool{true, false} {
		report, err := file.Write(out)
		if want := (kubeservices.Report{Out: out, Changed: changed, Services: 3, Skipped: leftOut}); err != nil || cmp.Diff(want, report) != "" {
			t.Errorf("got %v, %v", report, err)
		}
		if data, err := os.ReadFile(out); err != nil || string(data) != made {
			t.Errorf("got %s, %v", data, err)
		}
	}
	if err := os.WriteFile(out, []byte("apiVersion: v1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write(out); err == nil || !strings.Contains(err.Error(), "is not a file of Services, and is not overwritten") {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != "apiVersion: v1\n" {
		t.Errorf("it became %s, %v", data, err)
	}
}
