package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// loggingCluster is a Kubernetes API with the pods of a mesh and their logs. It records what is asked.
func loggingCluster(t *testing.T, asked *[]string) (kubeconfig string) {
	t.Helper()
	pod := func(namespace, name, containers, statuses string) string {
		return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": %q, "name": %q}, "spec": {"containers": [{"name": "app", "image": "app"}], "initContainers": [{"name": "once-meshpass"}, %s]}, "status": {"containerStatuses": [%s]}}`,
			namespace, name, containers, statuses)
	}
	ago := func(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }
	running := func(name string, restarts int) string {
		return fmt.Sprintf(`{"name": %q, "restartCount": %d, "state": {"running": {"startedAt": %q}}, "lastState": {"terminated": {"startedAt": %q}}}`, name, restarts, ago(time.Minute), ago(3*time.Hour))
	}
	first := func(name string) string {
		return fmt.Sprintf(`{"name": %q, "restartCount": 0, "state": {"running": {"startedAt": %q}}}`, name, ago(2*time.Hour))
	}
	reads := map[string]int{} // by log
	pods := []string{
		pod("meshpass", "meshpass-1", `{"name": "meshpass", "restartPolicy": "Always"}`, first("meshpass")),
		pod("meshpass", "meshpass-2", `{"name": "authz", "restartPolicy": "Always", "image": "registry.example/meshpass/authz:1"}`, running("authz", 2)),
		pod("edge", "tyk-1", `{"name": "gateway", "restartPolicy": "Always", "env": [{"name": "MESHPASS_CONFIG"}]}`, first("gateway")),
		pod("shop", "orders-1", `{"name": "istio-proxy", "restartPolicy": "Always"}`, first("istio-proxy")),
		pod("shop", "orders-2", `{"name": "istio-proxy", "restartPolicy": "Always"}`, `{"name": "istio-proxy", "restartCount": 0, "state": {"waiting": {}}}`),
		pod("shop", "gone-1", `{"name": "istio-proxy", "restartPolicy": "Always"}`, first("istio-proxy")),
		pod("shop", "secret-1", `{"name": "istio-proxy", "restartPolicy": "Always"}`, first("istio-proxy")),
		pod("shop", "other-1", `{"name": "other"}`, first("other")),
		pod("rotated", "a", `{"name": "istio-proxy", "restartPolicy": "Always"}`, first("istio-proxy")),
		pod("often", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, strings.Replace(running("meshpass", 3), ago(3*time.Hour), ago(10*time.Minute), 1)),
		pod("once", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, strings.Replace(running("meshpass", 1), "lastState", "gone", 1)),
		pod("waits", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, strings.Replace(running("meshpass", 1), "running", "waiting", 1)),
		pod("restarts", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, first("meshpass")),
		pod("breaks", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, first("meshpass")),
		pod("ends", "a", `{"name": "meshpass", "restartPolicy": "Always"}`, first("meshpass")),
	}
	logs := map[string]string{
		"meshpass/meshpass-1/meshpass":   checkLine("d1", "ns/edge/sa/tyk", "orders"),
		"meshpass/meshpass-2/authz":      "starting\n",
		"meshpass/meshpass-2/authz true": checkLine("d2", "ns/shop/sa/orders", "inventory"),
		"edge/tyk-1/gateway":             `{"time":"2026-11-30T05:24:19.100Z","kind":"issue","id":"e1","txn":"t1","callee":"edge/orders","decision":"allow","reason":"issued","duration_us":79}` + "\n",
		"rotated/a/istio-proxy":          "",
		"often/a/meshpass":               "",
		"often/a/meshpass true":          "",
		"once/a/meshpass":                "",
		"waits/a/meshpass true":          checkLine("d3", "ns/shop/sa/orders", "inventory"),
		"restarts/a/meshpass":            checkLine("d4", "ns/shop/sa/orders", "inventory"),
		"ends/a/meshpass":                checkLine("d5", "ns/shop/sa/orders", "inventory"),
		"shop/orders-1/istio-proxy":      `{"decision_id":"d1","duration":4,"request_id":"r1","response_code":200,"start_time":"2026-11-30T05:24:19.102Z","txn":"t1"}` + "\n",
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, r.Method+" "+r.URL.RequestURI())
		query := r.URL.Query()
		name, isLog := strings.CutSuffix(strings.Replace(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/pods/", "/", 1), "/log")
		if isLog {
			log := strings.TrimSpace(name + "/" + query.Get("container") + " " + query.Get("previous"))
			text, exists := logs[log]
			if query.Get("sinceTime") != "" {
				reads[log]++
			}
			switch {
			case query.Get("limitBytes") != "" && name == "rotated/a":
				fmt.Fprint(w, ago(20 * time.Minute)[:19]+".123456789Z a line")
			case query.Get("limitBytes") != "" && exists:
				fmt.Fprint(w, ago(2 * time.Hour)[:19]+".123456789Z a line")
			case name == "breaks/a":
				w.Header().Set("content-length", "1000")
				fmt.Fprint(w, checkLine("d6", "ns/shop/sa/orders", "inventory"))
			case name == "ends/a" && reads[log] > 1:
				writeStatus(w, http.StatusNotFound, "NotFound", "gone")
			case exists && query.Get("sinceTime") != "":
				fmt.Fprint(w, text)
			case strings.Contains(name, "secret"):
				writeStatus(w, http.StatusForbidden, "Forbidden", "pods/log is forbidden")
			default:
				writeStatus(w, http.StatusNotFound, "NotFound", "gone")
			}
			return
		}
		namespace, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/"), "/")
		if namespace == "closed" {
			writeStatus(w, http.StatusForbidden, "Forbidden", "pods is forbidden in closed")
			return
		}
		var list []string
		for _, pod := range pods {
			if reads["restarts/a/meshpass"] > 0 && namespace == "restarts" {
				pod = strings.Replace(pod, `"restartCount": 0`, `"restartCount": 1`, 1)
			}
			if r.URL.Path == "/api/v1/pods" && !strings.Contains(pod, `"name": "a"`) || strings.Contains(pod, fmt.Sprintf(`"namespace": %q`, namespace)) {
				list = append(list, pod)
			}
		}
		w.Header().Set("content-type", "application/json")
		fmt.Fprintf(w, `{"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [%s]}`, strings.Join(list, ","))
	}))
	t.Cleanup(api.Close)
	return writeKubeconfig(t, api.URL)
}

func writeStatus(w http.ResponseWriter, code int, reason, message string) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": %q, "reason": %q, "code": %d}`, message, reason, code)
}

func checkLine(id, caller, callee string) string {
	return fmt.Sprintf(`{"time":"2026-11-30T05:24:19.10%sZ","kind":"check","id":%q,"txn":"t1","request_id":"r1","caller":%q,"callee":"ns/shop/sa/%s","decision":"allow","reason":"rule_allowed","duration_us":7}`,
		id[1:], id, caller, callee) + "\n"
}

// All replicas of a cluster are read, also the log of a container before its restart. A log that cannot be read, or of which a part is
// not left, is named, and the rest is printed.
func TestTraceOfACluster(t *testing.T) {
	var asked []string
	kubeconfig := loggingCluster(t, &asked)
	for _, row := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{"all", nil, 2, "✓ edge/orders", "not read to the end: shop/gone-1/istio-proxy: its pod has ended; shop/secret-1/istio-proxy: pods/log is forbidden; shop/orders-2/istio-proxy: it has not started"},
		{"both replicas", []string{"--namespace", "meshpass", "--namespace", "edge"}, 0, "└─ ✓ ns/shop/sa/inventory", ""},
		{"before a restart", []string{"--namespace", "meshpass", "-o", "json"}, 0, `"source": "meshpass/meshpass-2/authz (before its restart)"`, ""},
		{"nothing of ours", []string{"--namespace", "empty"}, 2, "", "no pod has a container of Meshpass, of a gateway with the plugin, or of Istio's proxy"},
		{"rotated", []string{"--namespace", "rotated"}, 2, "no record matches", ": the node has rotated what was before"},
		{"restarted too often", []string{"--namespace", "often"}, 2, "no record matches", ": its container has restarted"},
		{"the log before a restart is not left", []string{"--namespace", "once"}, 2, "no record matches", ": its container has restarted"},
		{"waits for a restart", []string{"--namespace", "waits"}, 0, "✓ ns/shop/sa/inventory", ""},
		{"restarts meanwhile", []string{"--namespace", "restarts"}, 2, "✓ ns/shop/sa/inventory", "not read to the end: restarts/a/meshpass: it restarted while it was read; run the command again"},
		{"breaks off", []string{"--namespace", "breaks"}, 2, "✓ ns/shop/sa/inventory", "not read to the end: breaks/a/meshpass: unexpected EOF"},
		{"ends meanwhile", []string{"--namespace", "ends"}, 2, "no record matches", "not read to the end: ends/a/meshpass: its pod has ended"},
		{"a closed namespace", []string{"--namespace", "edge", "--namespace", "closed"}, 2, "✓ edge/orders", "not read to the end: listing pods: pods is forbidden in closed"},
		{"nothing but a closed namespace", []string{"--namespace", "closed"}, 2, "", "meshpass: listing pods: pods is forbidden in closed"},
		{"not the transaction", []string{"--namespace", "edge", "--actor", "x"}, 1, "no record matches", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, append([]string{"trace", "t1", "--context", "", "--kubeconfig", kubeconfig}, row.args...)...)
			if code != row.code || !strings.Contains(stdout, row.stdout) || !strings.Contains(stderr, row.stderr) {
				t.Errorf("exit code %d\n%s%s\nwant %d\n%s%s", code, stdout, stderr, row.code, row.stdout, row.stderr)
			}
		})
	}
	if slices.ContainsFunc(asked, func(request string) bool {
		return !strings.HasPrefix(request, "GET ") || strings.Contains(request, "/once-")
	}) {
		t.Errorf("asked %q", asked)
	}
	hourAgo := time.Now().Add(-2 * time.Hour).UTC().Format("2006-01-02T15")
	if slices.ContainsFunc(asked, func(request string) bool { return strings.Contains(request, "sinceTime="+hourAgo) }) {
		t.Errorf("more than the last hour was asked: %q", asked)
	}
}

// Compressed logs are read. One that ends too early, as while it is written, is read as far as it goes, and named.
func TestTraceOfCompressedLogs(t *testing.T) {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	for n := range 1000 {
		fmt.Fprint(writer, strings.Replace(checkLine("d1", "ns/edge/sa/tyk", "orders"), `"d1"`, fmt.Sprintf(`"d%d"`, n), 1))
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	whole, cut := filepath.Join(dir, "whole.log.gz"), filepath.Join(dir, "cut.gz")
	for name, data := range map[string][]byte{whole: packed.Bytes(), cut: packed.Bytes()[:packed.Len()-100]} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, stdout, stderr := ran(t, "trace", "t1", "-f", whole); code != 0 || !strings.Contains(stdout, "1000 audit records") {
		t.Errorf("exit code %d\n%.300s\n%s", code, stdout, stderr)
	}
	code, stdout, stderr := ran(t, "trace", "t1", "-f", cut)
	if code != 2 || !strings.HasPrefix(stdout, "allowed\n") || !strings.Contains(stderr, "cut.gz: it ends in the middle of compressed data") {
		t.Errorf("exit code %d\n%.300s\n%s", code, stdout, stderr)
	}
}
