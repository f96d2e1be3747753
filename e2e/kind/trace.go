package kind

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

const (
	tracePage    = "docs/observability.md"
	traceAccount = "trace"

	traceBound    = time.Minute     // Envoy writes its access log every 10 s
	rotationBound = 3 * time.Minute // the kubelet looks at the size of logs every 10 s
)

// traceNamespaces are those in which the page gives the account its rights.
var traceNamespaces = []string{"--namespace", "meshpass", "--namespace", "edge", "--namespace", "shop"}

// tracedRequest is a request, and the way that `meshpass trace` prints. T is a time, TXN and ID are the request's.
type tracedRequest struct {
	path   string
	status int
	text   string
}

// tracedRequests are allowed by both hops, denied by the first one, and denied by the second one.
var tracedRequests = []tracedRequest{
	{"/jwt/tenants/acme/orders/1001", http.StatusOK, `allowed
  transaction  TXN
  user         demo:alice of https://tyk.demo.meshpass.dev
  request id   ID
  began        T, took T

└─ ✓ edge/orders-jwt  GET /jwt/tenants/acme/orders/1001  +T
   │  allow issued in T
   │  200 by Envoy in T
   └─ ✓ ns/shop/sa/orders  GET /tenants/acme/orders/1001  +T
      │  allow rule_allowed orders/read-own-tenant in T
      │  claims.scope = orders.read, claims.tctx.tenant = acme
      │  200 by Envoy in T
      │  200 by Envoy of the caller in T
      └─ ✓ ns/shop/sa/inventory  GET /tenants/acme/items/1001  +T
            allow rule_allowed inventory/stock-for-orders in T
            claims.scope = orders.read, claims.tctx.tenant = acme
            200 by Envoy in T
            200 by Envoy of the caller in T
`},
	{"/jwt/tenants/globex/orders/1001", http.StatusForbidden, `denied at ns/shop/sa/orders: no_rule
  transaction  TXN
  user         demo:alice of https://tyk.demo.meshpass.dev
  request id   ID
  began        T, took T

└─ ✓ edge/orders-jwt  GET /jwt/tenants/globex/orders/1001  +T
   │  allow issued in T
   │  403 by Envoy in T
   └─ ✗ ns/shop/sa/orders  GET /tenants/globex/orders/1001  +T
         deny no_rule in T
         claims.scope = orders.read, claims.tctx.tenant = acme
         403 by Envoy in T, ext_authz_denied UAEX
         403 by Envoy of the caller in T
`},
	{"/reports/tenants/acme/report", http.StatusForbidden, `denied at ns/shop/sa/inventory: no_rule
  transaction  TXN
  user         demo:alice of https://tyk.demo.meshpass.dev
  request id   ID
  began        T, took T

└─ ✓ edge/reports-jwt  GET /reports/tenants/acme/report  +T
   │  allow issued in T
   │  403 by Envoy in T
   └─ ✓ ns/shop/sa/reports  GET /tenants/acme/report  +T
      │  allow rule_allowed reports/read-own-report in T
      │  claims.scope = orders.read, claims.tctx.tenant = acme
      │  403 by Envoy in T
      │  403 by Envoy of the caller in T
      └─ ✗ ns/shop/sa/inventory  GET /tenants/acme/items/all  +T
            deny no_rule in T
            claims.scope = orders.read, claims.tctx.tenant = acme
            403 by Envoy in T, ext_authz_denied UAEX
            403 by Envoy of the caller in T
`},
}

// traceReport is a part of the output of `meshpass trace -o json`.
type traceReport struct {
	code     int
	stderr   string
	Requests []struct {
		Txn, Sub, Iss, Verdict, Reason string
		DeniedAt                       string   `json:"denied_at"`
		RequestIDs                     []string `json:"request_ids"`
		Steps                          []*tracedStep
	}
}

// tracedStep is what a request has in each run alike, and where its records were found.
type tracedStep struct {
	Callee, Caller, Method, Path string
	Decision                     *tracedDecision
	Answers                      []tracedAnswer
	Steps                        []*tracedStep
}

type tracedDecision struct {
	Decision, Reason, Policy, Folder, Rule string
	Inputs                                 map[string]any
	Source                                 string
}

type tracedAnswer struct {
	By             string
	Status         int
	Flags, Details string
	Cluster        string
	Joined         string
	Source         string
}

// testTrace: with the rights that docs/observability.md gives, trace finds the way of allowed and denied requests by the transaction
// that the client got. It reads all replicas, and the logs of containers before their restart, and says what it could not read.
func (e *Environment) testTrace(ctx context.Context) ([]string, error) {
	kubeconfig, err := e.grantRights(ctx, tracePage, traceAccount)
	if err != nil {
		return nil, err
	}
	problems, err := e.checkTraceRights(ctx)
	if err != nil {
		return problems, err
	}
	txns := make([]string, len(tracedRequests))
	for i, request := range tracedRequests {
		id := fmt.Sprintf("trace.%d.%d", e.since.Unix(), i)
		answer, err := e.Send(ctx, scenarios.Request{ID: id, Send: scenarios.Send{To: "gateway", Method: "GET", Path: request.path, As: "alice"}})
		if err != nil {
			return problems, err
		}
		if txns[i] = answer.Header.Get("X-Meshpass-Txn"); answer.Status != request.status || txns[i] == "" {
			return append(problems, fmt.Sprintf("%s: status %d, X-Meshpass-Txn %q: %s", request.path, answer.Status, txns[i], answer.Body)), nil
		}
		if problem := e.awaitTrace(ctx, kubeconfig, txns[i], id, request); problem != "" {
			problems = append(problems, problem)
		}
	}
	for _, part := range []func(context.Context, string, string) ([]string, error){e.traceBothReplicas, e.traceJSON, e.traceDuringRestart, e.traceRotated, e.traceWithoutRights} {
		more, err := part(ctx, kubeconfig, txns[0])
		if problems = append(problems, more...); err != nil {
			return problems, err
		}
	}
	return problems, nil
}

// checkTraceRights checks that the rights of the page are the least.
func (e *Environment) checkTraceRights(ctx context.Context) (problems []string, err error) {
	for question, want := range map[string]bool{
		"list pods -n shop": true, "get pods --subresource=log -n shop": true, "get secrets -n edge": false, "list configmaps -n meshpass": false, "create pods --subresource=exec -n shop": false,
		"list pods -n kube-system": false, "get pods --subresource=log -n istio-system": false,
	} {
		args := append(append([]string{"auth", "can-i"}, strings.Fields(question)...), "-q", "--as=system:serviceaccount:meshpass:"+traceAccount)
		if _, err := e.kubectl(ctx, args...); (err == nil) != want {
			problems = append(problems, fmt.Sprintf("can-i %s: want %t: %v", question, want, err))
		}
	}
	return problems, ctx.Err()
}

// runTrace runs the command with the rights of an account.
func (e *Environment) runTrace(ctx context.Context, kubeconfig string, args ...string) (ranMeshpass, error) {
	return e.runMeshpassAs(ctx, kubeconfig, "trace", append([]string{"--since", e.since.UTC().Format(time.RFC3339)}, args...)...)
}

// awaitTrace waits until the way of a request is the expected one, and describes how it differs at the end.
func (e *Environment) awaitTrace(ctx context.Context, kubeconfig, txn, id string, want tracedRequest) (problem string) {
	var got string
	err := e.waitFor(ctx, "the records of "+want.path, traceBound, func(ctx context.Context) (string, error) {
		ran, err := e.runTrace(ctx, kubeconfig, append([]string{txn, "-o", "text"}, traceNamespaces...)...)
		if err != nil {
			return "", err
		}
		got = maskTrace(ran.stdout, txn, id)
		if ran.code == 0 && got == want.text {
			return "", nil
		}
		return fmt.Sprintf("exit code %d, %d lines: %s", ran.code, strings.Count(got, "\n"), ran.stderr), nil
	})
	if err != nil {
		return fmt.Sprintf("%s: %v: the way differs (-want +got):\n%s", want.path, err, cmp.Diff(want.text, got))
	}
	return ""
}

var (
	traceTime = regexp.MustCompile(`[0-9.]+ (µs|ms|s)\b`)
	traceDate = regexp.MustCompile(`[0-9-]+T[0-9:.]+Z`)
)

// maskTrace replaces what differs from run to run, and cuts off what was read.
func maskTrace(text, txn, id string) string {
	text, _, _ = strings.Cut(text, "\n\nread ")
	text = traceDate.ReplaceAllString(traceTime.ReplaceAllString(text, "T"), "T")
	return strings.NewReplacer(txn, "TXN", id, "ID").Replace(text) + "\n"
}

// traceBothReplicas sends requests until both authorizers have decided, and finds the records of each.
func (e *Environment) traceBothReplicas(ctx context.Context, kubeconfig, _ string) ([]string, error) {
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	want := map[string]bool{}
	for _, p := range pods {
		want["meshpass/"+p.Metadata.Name+"/meshpass"] = true
	}
	sent := 0
	err = e.waitFor(ctx, "records of both authorizers", traceBound, func(ctx context.Context) (string, error) {
		sent++
		answer, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("replicas.%d.%d", e.since.Unix(), sent), Send: order})
		if err != nil {
			return "", err
		}
		report, err := e.readTrace(ctx, kubeconfig, answer.Header.Get("X-Meshpass-Txn"))
		if err != nil {
			return "", err
		}
		decisions := 0
		report.visitSteps(func(s *tracedStep) {
			if s.Decision != nil {
				decisions++
				delete(want, s.Decision.Source)
			}
		})
		if decisions != 3 {
			return "", fmt.Errorf("%d decisions of an allowed request, exit code %d: %s", decisions, report.code, report.stderr)
		}
		return strings.Join(slices.Sorted(maps.Keys(want)), ", "), nil
	})
	if err != nil {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

func (e *Environment) readTrace(ctx context.Context, kubeconfig, txn string) (r traceReport, err error) {
	ran, err := e.runTrace(ctx, kubeconfig, append([]string{txn}, traceNamespaces...)...)
	if err != nil {
		return r, err
	}
	r.code, r.stderr = ran.code, ran.stderr
	if err := ran.decode(&r); err != nil {
		return r, fmt.Errorf("meshpass trace: exit code %d: %w: %s", r.code, err, r.stderr)
	}
	return r, nil
}

// visitSteps visits the steps of all requests, a step before those that it caused.
func (r traceReport) visitSteps(visit func(*tracedStep)) {
	var descend func([]*tracedStep)
	descend = func(steps []*tracedStep) {
		for _, s := range steps {
			visit(s)
			descend(s.Steps)
		}
	}
	for _, q := range r.Requests {
		descend(q.Steps)
	}
}

// traceJSON compares the way of the allowed request, without times and ids, with the records of its pods.
func (e *Environment) traceJSON(ctx context.Context, kubeconfig, txn string) ([]string, error) {
	r, err := e.readTrace(ctx, kubeconfig, txn)
	if err != nil {
		return nil, err
	}
	if r.code != 0 || len(r.Requests) != 1 {
		return []string{fmt.Sprintf("exit code %d, %d requests: %s", r.code, len(r.Requests), r.stderr)}, nil
	}
	q := r.Requests[0]
	sources := map[string]bool{}
	r.visitSteps(func(s *tracedStep) {
		sources[withoutPod(s.Decision.Source)] = true
		s.Decision.Source = ""
		for i := range s.Answers {
			sources[withoutPod(s.Answers[i].Source)] = true
			s.Answers[i].Source = ""
		}
	})
	inputs := map[string]any{"claims.scope": "orders.read", "claims.tctx.tenant": "acme"}
	answers := func(service string) []tracedAnswer {
		return []tracedAnswer{
			{By: "envoy", Status: 200, Details: "via_upstream", Cluster: "inbound|8080||", Joined: "decision_id"},
			{By: "envoy", Status: 200, Details: "via_upstream", Cluster: "outbound|8080||" + service + ".shop.svc.cluster.local", Joined: "request_id"},
		}
	}
	want := []*tracedStep{{
		Callee: "edge/orders-jwt", Method: "GET", Path: "/jwt/tenants/acme/orders/1001", Decision: &tracedDecision{Decision: "allow", Reason: "issued"},
		Answers: []tracedAnswer{{By: "envoy", Status: 200, Details: "via_upstream", Cluster: "inbound|8080||", Joined: "request_id"}},
		Steps: []*tracedStep{{
			Callee: "ns/shop/sa/orders", Caller: "ns/edge/sa/tyk-gateway", Method: "GET", Path: "/tenants/acme/orders/1001", Answers: answers("orders"),
			Decision: &tracedDecision{Decision: "allow", Reason: "rule_allowed", Policy: "orders", Folder: "policies", Rule: "read-own-tenant", Inputs: inputs},
			Steps: []*tracedStep{{
				Callee: "ns/shop/sa/inventory", Caller: "ns/shop/sa/orders", Method: "GET", Path: "/tenants/acme/items/1001", Answers: answers("inventory"),
				Decision: &tracedDecision{Decision: "allow", Reason: "rule_allowed", Policy: "inventory", Folder: "policies", Rule: "stock-for-orders", Inputs: inputs},
			}},
		}},
	}}
	var problems []string
	if diff := cmp.Diff(want, q.Steps); diff != "" {
		problems = append(problems, "the way as JSON differs (-want +got):\n"+diff)
	}
	if head := []string{q.Txn, q.Sub, q.Iss, q.Verdict, q.Reason, q.DeniedAt}; !slices.Equal(head, []string{txn, "demo:alice", "https://tyk.demo.meshpass.dev", "allow", "", ""}) {
		problems = append(problems, fmt.Sprintf("the request as JSON is %q", head))
	}
	wantSources := []string{"edge/istio-proxy", "edge/tyk-gateway", "meshpass/meshpass", "shop/istio-proxy"}
	if got := slices.Sorted(maps.Keys(sources)); !slices.Equal(got, wantSources) {
		problems = append(problems, fmt.Sprintf("records of %v, want %v", got, wantSources))
	}
	return problems, nil
}

// withoutPod makes NAMESPACE/CONTAINER of a source.
func withoutPod(source string) string {
	parts := strings.Split(source, "/")
	return parts[0] + "/" + parts[len(parts)-1]
}

// traceDuringRestart kills an authorizer when trace asks for its log: trace says that it has not read everything. The next run reads the
// log from before the restart.
func (e *Environment) traceDuringRestart(ctx context.Context, kubeconfig, txn string) ([]string, error) {
	before, err := e.restartsByPod(ctx)
	if err != nil {
		return nil, err
	}
	var once sync.Once
	var failed error
	proxied, stop, err := e.proxyKubeconfig(kubeconfig, func(request *http.Request) {
		if strings.HasPrefix(request.URL.Path, "/api/v1/namespaces/meshpass/pods/") && request.URL.Query().Has("sinceTime") {
			once.Do(func() { failed = e.killReplica(ctx) })
		}
	})
	if err != nil {
		return nil, err
	}
	defer stop()
	ran, err := e.runTrace(ctx, proxied, append([]string{txn}, traceNamespaces...)...)
	if err = errors.Join(err, failed); err != nil {
		return nil, fmt.Errorf("an authorizer is killed: %w", err)
	}
	after, err := e.restartsByPod(ctx)
	if err != nil {
		return nil, err
	}
	want := ""
	for name, count := range after {
		if count != before[name] {
			want += "meshpass/" + name + "/meshpass: it restarted while it was read; run the command again"
		}
	}
	if ran.code != 2 || want == "" || !strings.Contains(ran.stderr, want) {
		return []string{fmt.Sprintf("a restart while it reads: exit code %d: %s\nwant 2: %s", ran.code, ran.stderr, want)}, nil
	}
	request := tracedRequests[0]
	if problem := e.awaitTrace(ctx, kubeconfig, txn, fmt.Sprintf("trace.%d.0", e.since.Unix()), request); problem != "" {
		return []string{"after the restart: " + problem}, nil
	}
	return nil, nil
}

// restartsByPod counts the restarts of each authorizer.
func (e *Environment) restartsByPod(ctx context.Context) (map[string]int, error) {
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	counts := map[string]int{}
	for _, p := range pods {
		for _, c := range p.Status.ContainerStatuses {
			counts[p.Metadata.Name] += c.RestartCount
		}
	}
	return counts, err
}

// proxyKubeconfig makes a kubeconfig whose requests pass through this process, which calls before with each of them.
func (e *Environment) proxyKubeconfig(kubeconfig string, before func(*http.Request)) (file string, stop func(), err error) {
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		return "", nil, err
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Server    string `json:"server"`
				Authority []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil || len(config.Clusters) != 1 {
		return "", nil, fmt.Errorf("%s: %d clusters: %w", kubeconfig, len(config.Clusters), err)
	}
	cluster := config.Clusters[0].Cluster
	target, err := url.Parse(cluster.Server)
	if err != nil {
		return "", nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(cluster.Authority)
	proxy := &httputil.ReverseProxy{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}, Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		before(r)
		proxy.ServeHTTP(w, r)
	}))
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	changed := strings.NewReplacer(cluster.Server, server.URL, base64.StdEncoding.EncodeToString(cluster.Authority), base64.StdEncoding.EncodeToString(own)).Replace(string(text))
	file = e.runFile("proxy.kubeconfig")
	return file, server.Close, os.WriteFile(file, []byte(changed), 0o600)
}

// rotatedPod writes an audit record, and later more than a node keeps in one file of a log.
const rotatedPod = `apiVersion: v1
kind: Pod
metadata:
  name: trace-rotated
  namespace: shop
  labels: {sidecar.istio.io/inject: "false"}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 0
  automountServiceAccountToken: false
  containers:
    - name: gateway
      image: redis:7
      imagePullPolicy: IfNotPresent
      env: [{name: MESHPASS_CONFIG, value: none}]
      command:
        - sh
        - -c
        - |
          echo '{"time":"TIME","kind":"issue","id":"rotated","txn":"rotated-TXN","callee":"edge/rotated","decision":"allow","reason":"issued","duration_us":1}'
          sleep 40
          yes 'a line that is no record' | head -c 12000000
          while sleep 1; do echo later; done
`

// traceRotated finds a record before the node rotates its log, and says afterwards where the log begins.
func (e *Environment) traceRotated(ctx context.Context, kubeconfig, _ string) (problems []string, err error) {
	if _, err := e.kubectl(ctx, "delete", "pod", "-n", "shop", "trace-rotated", "--ignore-not-found"); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	txn := fmt.Sprintf("rotated-%d", now.Unix())
	if err := e.applyManifests(ctx, []byte(strings.NewReplacer("TIME", now.Format(time.RFC3339), "rotated-TXN", txn).Replace(rotatedPod))); err != nil {
		return nil, err
	}
	defer func() {
		_, back := e.kubectl(context.WithoutCancel(ctx), "delete", "pod", "-n", "shop", "trace-rotated")
		err = errors.Join(err, back)
	}()
	await := func(what string, bound time.Duration, reached func(ranMeshpass) bool) {
		err := e.waitFor(ctx, what, bound, func(ctx context.Context) (string, error) {
			ran, err := e.runTrace(ctx, kubeconfig, txn, "--namespace", "shop")
			if err != nil || reached(ran) {
				return "", err
			}
			return fmt.Sprintf("exit code %d: %s", ran.code, ran.stderr), nil
		})
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	await("the record of the pod", traceBound, func(ran ranMeshpass) bool {
		return ran.code == 0 && strings.Contains(ran.stdout, `"callee": "edge/rotated"`)
	})
	await("the node to rotate the log", rotationBound, func(ran ranMeshpass) bool {
		return ran.code == 2 && rotatedLog.MatchString(ran.stderr) && strings.Contains(ran.stdout, `"requests": []`)
	})
	return problems, nil
}

var rotatedLog = regexp.MustCompile(`shop/trace-rotated/gateway: what is left of its log begins at \S+Z: the node has rotated what was before`)

// traceWithoutRights takes rights away one after the other: what can be read is printed, and the rest is named.
func (e *Environment) traceWithoutRights(ctx context.Context, kubeconfig, txn string) (problems []string, err error) {
	const as = `"system:serviceaccount:meshpass:trace" cannot `
	for _, row := range []struct {
		remove         []string
		args           []string
		stdout, stderr string
	}{
		{nil, nil, "", as + `list resource "pods" in API group "" at the cluster scope; name the namespaces that you may read with --namespace`},
		{[]string{"-n", "shop", "delete", "rolebinding", "meshpass-trace"}, traceNamespaces, `"callee": "ns/shop/sa/inventory"`, as + `list resource "pods" in API group "" in the namespace "shop"`},
		{[]string{"patch", "clusterrole", "meshpass-trace", "--type=json", `-p=[{"op": "remove", "path": "/rules/1"}]`}, traceNamespaces[:4], `"requests": []`, as + `get resource "pods/log" in API group "" in the namespace "edge"`},
	} {
		if row.remove != nil {
			if _, err := e.kubectl(ctx, row.remove...); err != nil {
				return problems, err
			}
		}
		err := e.waitFor(ctx, "trace to name "+row.stderr, traceBound, func(ctx context.Context) (string, error) { // the API server learns of changed rights soon
			ran, err := e.runTrace(ctx, kubeconfig, append([]string{txn}, row.args...)...)
			if err != nil || ran.code == 2 && strings.Contains(ran.stderr, row.stderr) && strings.Contains(ran.stdout, row.stdout) {
				return "", err
			}
			return fmt.Sprintf("exit code %d: %s", ran.code, ran.stderr), nil
		})
		if err != nil {
			problems = append(problems, err.Error())
		}
	}
	return problems, nil
}
