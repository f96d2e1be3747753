package incluster_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/meshpass/meshpass/extauthz/internal/doctor"
	"github.com/meshpass/meshpass/extauthz/internal/doctor/incluster"
	"github.com/meshpass/meshpass/extauthz/internal/kubeclient"
)

// The pods of an installation, in two pages. Injection has replaced the probes of the gateway.
var podPages = [2]string{`
- metadata: {name: meshpass-1, namespace: meshpass, labels: {app: meshpass}, ownerReferences: [{kind: ReplicaSet, name: meshpass}]}
  spec: {containers: [{name: meshpass, ports: [{name: http-ops, containerPort: 9191}]}]}
  status: {phase: Running}
- metadata: {name: meshpass-2, namespace: meshpass, labels: {app: meshpass}}
  spec: {containers: [{name: meshpass}]}
  status: {phase: Running, containerStatuses: [{name: meshpass, state: {waiting: {reason: CrashLoopBackOff}}}]}
- metadata: {name: other, namespace: elsewhere, labels: {app: meshpass}}
  spec: {containers: [{name: meshpass}]}
  status: {phase: Running}
- metadata: {name: istiod-1, namespace: istio-system, labels: {app: istiod}}
  spec: {containers: [{name: discovery}]}
  status: {phase: Running}
- metadata: {name: tyk-1, namespace: edge}
  spec:
    initContainers: [{name: istio-proxy, env: [{name: ISTIO_KUBE_APP_PROBERS, value: '{"/app-health/tyk/readyz":{"httpGet":{"path":"/meshpass-canary/","port":8080}},"/app-health/tyk/livez":{"httpGet":{"path":"/hello","port":8081}}}'}]}]
    containers:
      - name: tyk
        env: [{name: MESHPASS_CONFIG, value: /etc/meshpass/plugin.yaml}]
        readinessProbe: {httpGet: {path: /app-health/tyk/readyz, port: 15020}}
        livenessProbe: {httpGet: {path: /app-health/tyk/livez, port: 15020}}
        volumeMounts: [{name: conf, mountPath: /etc}, {name: meshpass, mountPath: /etc/meshpass}, {name: keys, mountPath: /etc/meshpass/keys}]
    volumes: [{name: conf, configMap: {name: wrong}}, {name: meshpass, projected: {sources: [{secret: {name: hmac}}, {configMap: {name: plugin}}]}}, {name: keys, secret: {secretName: keys}}]
  status: {phase: Running}
`, `
- metadata: {name: tyk-2, namespace: edge}
  spec:
    containers:
      - name: tyk
        env: [{name: MESHPASS_CONFIG, value: /etc/meshpass/plugin.yaml}]
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /hello, port: http}}
        volumeMounts: [{name: meshpass, mountPath: /etc/meshpass}]
    volumes: [{name: meshpass, secret: {secretName: plugin}}]
  status: {phase: Running}
- metadata: {name: orders-1, namespace: shop, labels: {meshpass.dev/guarded: "true"}, ownerReferences: [{kind: ReplicaSet, name: orders}]}
  spec: {containers: [{name: orders}, {name: istio-proxy}]}
  status: {phase: Running}
- metadata: {name: orders-2, namespace: shop, labels: {meshpass.dev/guarded: "true"}, ownerReferences: [{kind: ReplicaSet, name: orders}]}
  spec: {containers: [{name: orders}, {name: istio-proxy}]}
  status: {phase: Running}
- metadata: {name: reports-1, namespace: shop, labels: {meshpass.dev/guarded: observe}}
  spec: {containers: [{name: reports}, {name: istio-proxy}]}
  status: {phase: Running}
- metadata: {name: bare-1, namespace: shop, labels: {meshpass.dev/guarded: "true"}}
  spec: {containers: [{name: bare}]}
  status: {phase: Running}
- metadata: {name: ambient-1, namespace: shop, labels: {meshpass.dev/guarded: "true"}, annotations: {ambient.istio.io/redirection: enabled}}
  spec: {containers: [{name: ambient}]}
  status: {phase: Running}
- metadata: {name: done-1, namespace: shop, labels: {meshpass.dev/guarded: "true"}}
  spec: {containers: [{name: done}]}
  status: {phase: Succeeded}
- metadata: {name: going-1, namespace: shop, labels: {meshpass.dev/guarded: "true"}, deletionTimestamp: "2026-06-01T12:00:00Z"}
  spec: {containers: [{name: going}]}
  status: {phase: Running}
`}

// cluster is a stand-in for an API server, and records what is asked.
type cluster struct {
	forbidden string // part of the paths that it forbids
	plugin    string // the plugin's file
	mu        sync.Mutex
	asked     []string
}

func (c *cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	c.asked = append(c.asked, r.Method+" "+r.URL.Path)
	c.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	answer := func(text string) {
		var object map[string]any
		if err := yaml.Unmarshal([]byte(text), &object); err != nil {
			panic(err)
		}
		_ = json.NewEncoder(w).Encode(object) // an error means that the client has gone
	}
	page, next := podPages[0], "two"
	if r.URL.Query().Get("continue") == "two" {
		page, next = podPages[1], ""
	}
	switch {
	case c.forbidden != "" && strings.Contains(r.URL.Path, c.forbidden):
		w.WriteHeader(http.StatusForbidden)
		answer("{apiVersion: v1, kind: Status, status: Failure, reason: Forbidden, code: 403, message: 'pods is forbidden: User \"bob\" cannot'}")
	case r.URL.Path == "/api/v1/pods":
		page = strings.ReplaceAll(page, "- metadata:", "- apiVersion: v1\n  kind: Pod\n  metadata:")
		answer("apiVersion: v1\nkind: PodList\nmetadata: {continue: \"" + next + "\"}\nitems:" + page)
	case r.URL.Path == "/api/v1/namespaces/edge/configmaps/plugin":
		answer(fmt.Sprintf("{apiVersion: v1, kind: ConfigMap, metadata: {name: plugin, namespace: edge}, data: {plugin.yaml: %q}}", c.plugin))
	default:
		w.WriteHeader(http.StatusNotFound)
		answer("{apiVersion: v1, kind: Status, status: Failure, reason: NotFound, code: 404}")
	}
}

func (c *cluster) find(t *testing.T, s incluster.Settings) doctor.Installation {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	text := `{apiVersion: v1, kind: Config, clusters: [{name: a, cluster: {server: "` + server.URL + `"}}], contexts: [{name: a, context: {cluster: a, user: a}}], users: [{name: a, user: {token: t}}], current-context: a}`
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.CanaryPath, s.Timeout = "/meshpass-canary/", time.Minute
	found, err := incluster.Find(t.Context(), kubeclient.Config{Kubeconfig: kubeconfig}, s)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestFind(t *testing.T) {
	c := &cluster{plugin: "issuer: https://a\nmetrics: 127.0.0.1:9099\n"}
	found := c.find(t, incluster.DefaultSettings())
	var got []string
	for _, g := range found.Gateways {
		got = append(got, fmt.Sprintf("gateway %s: %s, %s %s, metrics %s%s", g.Name, g.Hello.URL, g.Canary, g.Canary.URL, g.Metrics.URL, g.NoMetrics.Detail))
	}
	for _, a := range found.Authorizers {
		got = append(got, "authorizer "+a.String()+" "+a.URL)
	}
	for _, e := range found.Envoys {
		got = append(got, fmt.Sprintf("envoy %s, open: %t", e.Admin, e.Open))
	}
	for _, a := range found.Istiods {
		got = append(got, "istiod "+a.String())
	}
	for _, l := range found.Lines {
		got = append(got, fmt.Sprintf("%s %s %s: %s", l.Result, l.Check, l.Subject, l.Detail))
	}
	want := []string{
		"gateway pod edge/tyk-1: http://127.0.0.1:8081/hello, pod edge/tyk-1:8080 http://127.0.0.1:8080/meshpass-canary/, metrics http://127.0.0.1:9099",
		"gateway pod edge/tyk-2: http://127.0.0.1:8080/hello, pod edge/tyk-2:8080 http://127.0.0.1:8080/meshpass-canary/, metrics the plugin's file is not in a ConfigMap, and Secrets are not read",
		"authorizer pod meshpass/meshpass-1:9191 http://127.0.0.1:9191",
		"envoy pod shop/orders-1:15000, open: false",
		"envoy pod shop/reports-1:15000, open: true",
		"istiod pod istio-system/istiod-1:8080",
		"wrong authorizer pod meshpass/meshpass-2: does not run: meshpass: CrashLoopBackOff",
		`wrong canary pod edge/tyk-2: the readiness probe asks "/hello" and not /meshpass-canary/: the pod is ready while the plugin cannot sign`,
		"wrong envoy pod shop/bare-1: has the label meshpass.dev/guarded and no sidecar: every request passes without a decision",
		"not_checked envoy pod shop/ambient-1: is in ambient mode, so a waypoint asks the authorizer",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if wantAsked := []string{"GET /api/v1/pods", "GET /api/v1/namespaces/edge/configmaps/plugin", "GET /api/v1/pods"}; !slices.Equal(c.asked, wantAsked) {
		t.Errorf("asked %q, want %q", c.asked, wantAsked)
	}
}

// What may not be read is not checked, with the reason.
func TestWithoutRights(t *testing.T) {
	for _, row := range []struct {
		forbidden, plugin string
		settings          func(*incluster.Settings)
		check, want       string
	}{
		{forbidden: "/pods", check: "authorizer", want: "no right to list the pods of the cluster"},
		{forbidden: "/configmaps", check: "plugin", want: "the ConfigMap plugin with the plugin's file cannot be read: Forbidden"},
		{forbidden: "/portforward", check: "envoy", want: `no answer: not reached by port-forward: unable to upgrade connection: pods is forbidden: User "bob" cannot; not known: its filters, its connection to the authorizer, what istiod pushed`},
		{plugin: "metrics: off\n", check: "plugin", want: "the plugin's file sets no metrics"},
		{plugin: "metrics: [\n", check: "plugin", want: "the plugin's file in the ConfigMap plugin is not YAML"},
		{settings: func(s *incluster.Settings) { s.Namespace = "none" }, check: "authorizer", want: "no pod with app=meshpass in the namespace none"},
		{settings: func(s *incluster.Settings) { s.IstioNamespace = "none" }, check: "istiod", want: "no pod with app=istiod in the namespace none"},
	} {
		c, s := &cluster{forbidden: row.forbidden, plugin: row.plugin}, incluster.DefaultSettings()
		if row.settings != nil {
			row.settings(&s)
		}
		report := doctor.Run(t.Context(), c.find(t, s), doctor.Options{Timeout: time.Minute, MaxSkew: time.Second, Provider: doctor.Provider{Namespace: s.Namespace}, ProgressEvery: time.Hour})
		if !slices.ContainsFunc(report.Lines, func(l doctor.Line) bool {
			return l.Check == row.check && l.Result == doctor.NotChecked && l.Detail == row.want && l.Do != ""
		}) {
			t.Errorf("no line %s: %q in %+v", row.check, row.want, report.Lines)
		}
	}
}
