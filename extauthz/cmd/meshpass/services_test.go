package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshpass/meshpass/extauthz/internal/services"
	"github.com/meshpass/meshpass/extauthz/internal/services/kubeservices"
)

const (
	ordersList = `{"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "orders"}, "spec": {"clusterIP": "10.96.0.7", "ports": [{"port": 8080}]}},
		{"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "shop", "name": "db"}, "spec": {"clusterIP": "None", "ports": [{"port": 5432}]}}]}`
	ordersFile = "# Written by meshpass services; docs/configuration.md\nservices:\n" +
		`  - {namespace: "shop", name: "orders", addresses: ["10.96.0.7"], ports: [8080]}` + "\n"
	dbLeftOut = "left out shop/db: headless: it has no address of its own\n"
)

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// cluster is a Kubernetes API that has these Services, and its kubeconfig.
func cluster(t *testing.T) string {
	t.Helper()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("content-type", "application/json")
		switch {
		case r.URL.Path != "/api/v1/services":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "services is forbidden", "reason": "Forbidden", "code": 403}`)
		case r.URL.Query().Get("sendInitialEvents") != "": // an older API, which lists and watches apart
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprint(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "forbidden for watch", "reason": "Invalid", "code": 422}`)
		case r.URL.Query().Get("watch") != "":
			w.(http.Flusher).Flush() // the answer begins; no event follows
			<-r.Context().Done()
		default:
			fmt.Fprint(w, strings.Replace(ordersList, `"kind": "List"`, `"kind": "ServiceList", "metadata": {"resourceVersion": "7"}`, 1))
		}
	}))
	t.Cleanup(api.Close)
	return writeKubeconfig(t, api.URL)
}

// writeKubeconfig writes a kubeconfig for an API server without authentication.
func writeKubeconfig(t *testing.T, url string) string {
	t.Helper()
	return writeFile(t, "kubeconfig", fmt.Sprintf(`
apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: "%s"}}]
contexts: [{name: test, context: {cluster: test, user: nobody}}]
users: [{name: nobody, user: {}}]
current-context: test
`, url))
}

func TestServices(t *testing.T) {
	list, out := writeFile(t, "list.json", ordersList), filepath.Join(t.TempDir(), "services.yaml")
	kubeconfig := cluster(t)
	headless := writeFile(t, "headless.json", strings.Replace(ordersList, "10.96.0.7", "None", 1))
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
	for _, row := range []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // what it begins with
	}{
		{"a list", []string{"-f", list}, 0, ordersFile, dbLeftOut},
		{"a list, to a file", []string{"-f", list, "--out", out}, 0, "wrote " + out + ": 1 Services\n" + dbLeftOut, ""},
		{"again", []string{"-f", list, "--out", out}, 0, "nothing to do: " + out + " is up to date: 1 Services\n" + dbLeftOut, ""},
		{"a cluster", []string{"--kubeconfig", kubeconfig}, 0, ordersFile, dbLeftOut},
		{"a cluster, to a file", []string{"--kubeconfig", kubeconfig, "--out", out}, 0, "nothing to do: " + out, ""},
		{"a namespace that may not be read", []string{"--kubeconfig", kubeconfig, "-n", "secret"}, 2, "", "meshpass: list Services: services is forbidden"},
		{"a context that is none", []string{"--kubeconfig", kubeconfig, "--context", "other"}, 2, "", "meshpass: cannot connect to the cluster: context \"other\" does not exist"},
		{"no cluster at all", nil, 2, "", "meshpass: no cluster is configured: name a kubeconfig with --kubeconfig or $KUBECONFIG, or write " + clientcmd.RecommendedHomeFile},
		{"no kubeconfig there", []string{"--kubeconfig", filepath.Join(t.TempDir(), "absent")}, 2, "", "meshpass: cannot connect to the cluster: stat "},
		{"nothing to write", []string{"-f", headless, "--out", out}, 1, "", "meshpass: of 2 Services 0 can be called through a waypoint: no services"},
		{"no such list", []string{"-f", filepath.Join(t.TempDir(), "absent")}, 2, "", "meshpass: open "},
		{"a list of something else", []string{"-f", kubeconfig}, 2, "", "meshpass: " + kubeconfig + `: "Config" of "v1" is not a Service`},
		{"to nowhere", []string{"-f", list, "--out", filepath.Join(list, "x")}, 2, "", "meshpass: "},
		{"list and cluster", []string{"-f", list, "-n", "shop"}, 2, "", "meshpass: -f reads a list"},
		{"watch a list", []string{"-f", list, "--watch", "--out", out}, 2, "", "meshpass: --watch needs --out FILE and a cluster"},
		{"watch to nowhere", []string{"--watch"}, 2, "", "meshpass: --watch needs --out FILE and a cluster"},
		{"JSON of what is printed", []string{"-f", list, "-o", "json"}, 2, "{", "meshpass: -o json prints the report of --out FILE"},
		{"help", []string{"--help"}, 0, "Writes the file in which a listener", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			code, stdout, stderr := ran(t, append([]string{"services"}, row.args...)...)
			if code != row.code || !strings.HasPrefix(stdout, row.stdout) || !strings.HasPrefix(stderr, row.stderr) ||
				(stdout == "") != (row.stdout == "") || (stderr == "") != (row.stderr == "") {
				t.Errorf("got %d\nstdout: %s\nstderr: %s", code, stdout, stderr)
			}
		})
	}
	// Nothing of what was refused reached the file.
	if data, err := os.ReadFile(out); err != nil || string(data) != ordersFile {
		t.Errorf("got %s, %v", data, err)
	}
	if table, err := services.Parse([]byte(ordersFile)); err != nil || table.Len() != 1 {
		t.Errorf("the authorizer reads %v, %v", table, err)
	}
}

func TestServicesReport(t *testing.T) {
	list, out := writeFile(t, "list.json", ordersList), filepath.Join(t.TempDir(), "services.yaml")
	code, stdout, _ := ran(t, "services", "-f", list, "--out", out, "-o", "json")
	var report kubeservices.Report
	if err := json.Unmarshal([]byte(stdout), &report); code != 0 || err != nil || !report.Changed || report.Out != out || report.Services != 1 || len(report.Skipped) != 1 {
		t.Errorf("got %d, %+v, %v", code, report, err)
	}
}

// Watching ends with exit code 0 on a signal.
func TestServicesWatch(t *testing.T) {
	kubeconfig, out := cluster(t), filepath.Join(t.TempDir(), "services.yaml")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var stdout, stderr strings.Builder
	stopping := writerFunc(func(p []byte) (int, error) {
		if strings.HasPrefix(string(p), "nothing to do") { // the watch has seen what was listed before
			stop()
		}
		return stdout.Write(p)
	})
	if code := run(ctx, []string{"services", "--kubeconfig", kubeconfig, "--out", out, "--watch"}, strings.NewReader(""), stopping, &stderr); code != 0 || stderr.Len() > 0 {
		t.Errorf("got %d\nstdout: %s\nstderr: %s", code, &stdout, &stderr)
	}
	if data, err := os.ReadFile(out); err != nil || string(data) != ordersFile {
		t.Errorf("got %s, %v", data, err)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
