package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// guardedCluster is a Kubernetes API with pods, a policy and a Service, and its kubeconfig. It answers with one pod a page, and
// records what is asked.
func guardedCluster(t *testing.T, asked *[]string) string {
	t.Helper()
	pod := func(namespace, account, labels, phase string) string {
		return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": %q, "name": "p", "labels": {%s}}, "spec": {"serviceAccountName": %q}, "status": {"phase": %q}}`, namespace, labels, account, phase)
	}
	ending := strings.Replace(pod("shop", "orders", `"meshpass.dev/guarded": "true"`, "Running"), `"name"`, `"deletionTimestamp": "2026-06-01T12:00:00Z", "name"`, 1)
	pods := map[string][]string{
		"meshpass.dev/guarded,meshpass.dev/guarded!=observe": {
			pod("shop", "orders", `"meshpass.dev/guarded": "true"`, "Running"), pod("shop", "orders", `"meshpass.dev/guarded": "true"`, "Pending"),
			pod("shop", "job", `"meshpass.dev/guarded": "true"`, "Succeeded"), ending, pod("shop", "reports", `"meshpass.dev/guarded": "open"`, "Running"),
		},
		"meshpass.dev/guarded=open":                       {pod("shop", "reports", `"meshpass.dev/guarded": "open"`, "Running")},
		"gateway.networking.k8s.io/gateway-name=waypoint": {pod("shop", "waypoint", `"gateway.networking.k8s.io/gateway-name": "waypoint"`, "Running")},
	}
	objects := map[string]string{
		"/apis/security.istio.io/v1/namespaces/istio-system/authorizationpolicies/meshpass-open": `"kind": "AuthorizationPolicy", "metadata": {"namespace": "istio-system"}, "spec": {"selector": {"matchLabels": {"meshpass.dev/guarded": "open"}}}`,
		"/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/meshpass":              `"kind": "AuthorizationPolicy", "metadata": {"namespace": "shop"}, "spec": {"targetRefs": [{"kind": "Gateway", "name": "waypoint"}]}`,
		"/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies/odd":                   `"kind": "AuthorizationPolicy", "metadata": {"namespace": "shop"}, "spec": {"targetRefs": [{"kind": "Service", "name": "orders"}]}`,
		"/api/v1/namespaces/meshpass/services/meshpass":                                          `"kind": "Service", "metadata": {"name": "meshpass"}, "spec": {"ports": [{"port": 9000}]}`,
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.Path)
		w.Header().Set("content-type", "application/json")
		query := r.URL.Query()
		if object, exists := objects[r.URL.Path]; exists {
			fmt.Fprintf(w, `{"apiVersion": "v1", %s}`, object)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/pods") {
			list, at := pods[query.Get("labelSelector")], 0
			fmt.Sscan(query.Get("continue"), &at)
			more := ""
			if at+1 < len(list) {
				more = fmt.Sprint(at + 1)
			}
			fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "PodList", "metadata": {"continue": %q}, "items": [%s]}`, more, strings.Join(list[min(at, len(list)):min(at+1, len(list))], ","))
			return
		}
		reason, code := "NotFound", http.StatusNotFound
		if strings.Contains(r.URL.Path, "secret") {
			reason, code = "Forbidden", http.StatusForbidden
		}
		w.WriteHeader(code)
		fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "reason": %q, "code": %d}`, reason, code)
	}))
	t.Cleanup(api.Close)
	return writeKubeconfig(t, api.URL)
}

func TestIstioGuarded(t *testing.T) {
	var asked []string
	kubeconfig := guardedCluster(t, &asked)
	const all = "ns/shop/sa/orders: pods: 2, meshpass.dev/guarded=true\nns/shop/sa/reports: pods: 1, meshpass.dev/guarded=open\n"
	for _, row := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"all", nil, 1, all, "first remove the label from their pods"},
		{"JSON", []string{"-o", "json"}, 1, `"workload": "ns/shop/sa/reports"`, ""},
		{"the Service is kept", []string{"--unless-service", "meshpass/meshpass:9000"}, 0, "no workload relies on it\n", ""},
		{"its port is not", []string{"--unless-service", "meshpass/meshpass:9001"}, 1, all, ""},
		{"its name is not", []string{"--unless-service", "meshpass/other:9000"}, 1, all, ""},
		{"a policy", []string{"--policy", "istio-system/meshpass-open"}, 1, "ns/shop/sa/reports: pods: 1, meshpass.dev/guarded=open\n", ""},
		{"a policy that does not exist", []string{"--policy", "istio-system/meshpass"}, 0, "no workload relies on it\n", ""},
		{"a policy of a waypoint", []string{"--policy", "shop/meshpass", "--policy", "istio-system/meshpass"}, 1, "ns/shop/sa/waypoint: pods: 1, gateway.networking.k8s.io/gateway-name=waypoint\n", ""},
		{"a policy of something else", []string{"--policy", "shop/odd"}, 2, "", "AuthorizationPolicy shop/odd: its target Service orders is not a Gateway"},
		{"no right to read", []string{"--policy", "secret/meshpass"}, 2, "", "reading the AuthorizationPolicy secret/meshpass"},
		{"not a name", []string{"--policy", "meshpass"}, 2, "", `want NAMESPACE/NAME, not "meshpass"`},
		{"not a port", []string{"--unless-service", "meshpass/meshpass"}, 2, "", `want NAMESPACE/NAME:PORT, not "meshpass/meshpass"`},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, append([]string{"istio", "guarded", "--kubeconfig", kubeconfig}, row.args...)...)
			if code != row.code || !strings.Contains(stdout, row.stdout) || !strings.Contains(stderr, row.stderr) {
				t.Errorf("exit code %d\n%s%s\nwant %d\n%s%s", code, stdout, stderr, row.code, row.stdout, row.stderr)
			}
		})
	}
	if slices.ContainsFunc(asked, func(request string) bool { return !strings.HasPrefix(request, "GET ") }) {
		t.Errorf("it wrote: %q", asked)
	}
}
