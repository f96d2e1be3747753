package kind

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"":      "cluster istio images install charts deploy run lint topologies",
		"istio": "istio",
		"clean": "clean",
	} {
		steps, err := FindSteps(name)
		var names []string
		for _, s := range steps {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("%q: got %q (%v), want %q", name, got, err, want)
		}
	}
	const want = `no step "isto"; there are: cluster, istio, images, install, charts, deploy, run, lint, topologies, clean`
	if _, err := FindSteps("isto"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEveryCaseLoads(t *testing.T) {
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, topology := range append(otherTopologies(), tour) {
		tests, err := (&Environment{root: root}).loadCases(topology)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range tests {
			if names[test.name] {
				t.Errorf("two tests are called %s", test.name)
			}
			names[test.name] = true
		}
	}
	for _, name := range []string{"tour/01-own-order", "late records", "ingress/ingress/06-no-tls", "gateway-api/ingress/06-no-tls", "gateway-api/late records"} {
		if !names[name] {
			t.Errorf("no test is called %s", name)
		}
	}
}

func TestVersionOfAProgram(t *testing.T) {
	for said, want := range map[string]string{
		"20.10.24\n": "20.10.24",
		"Client Version: v1.37.2\nKustomize …\n":   "Client Version: v1.37.2",
		`{"clientVersion": {"version": "1.31.0"}}`: "1.31.0",
	} {
		if got := parseVersion([]byte(said)); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

func TestAMissingProgramSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, r := range requirements {
		_, err := r.readVersion(t.Context())
		if err == nil || !strings.Contains(err.Error(), r.missing) || !strings.Contains(err.Error(), r.program) {
			t.Errorf("%s: got %v", r.program, err)
		}
	}
}

func TestAPodSaysWhatItWaitsFor(t *testing.T) {
	tests := []struct{ name, status, want string }{
		{"an init container refuses", `{
			"initContainerStatuses": [{"name": "plugin-loads", "state": {"terminated": {"exitCode": 1, "message": "another build\n"}}}],
			"containerStatuses": [{"name": "tyk-gateway", "state": {"waiting": {"reason": "PodInitializing"}}}]
		}`, "plugin-loads: ended with 1 another build"},
		{"and tries again later", `{
			"initContainerStatuses": [{"name": "plugin-loads",
				"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"exitCode": 1, "message": "another build"}}}]
		}`, "plugin-loads: ended with 1 another build"},
		{"a restarted container", `{"containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}}], "phase": "Running"}`, "Running"},
		{"no room", `{"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}`, "Insufficient cpu"},
	}
	for _, test := range tests {
		var p pod
		if err := json.Unmarshal([]byte(`{"status": `+test.status+`}`), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.describeState(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestASenderIsFoundByItsWorkload(t *testing.T) {
	for workload, want := range map[string]place{
		"ns/shop/sa/inventory": {"shop", "as-inventory"},
	} {
		if got, err := findSender(workload); got != want || err != nil {
			t.Errorf("%q: got %v (%v), want %v", workload, got, err, want)
		}
	}
	if _, err := findSender("inventory"); err == nil {
		t.Error("a bare name is taken for a workload")
	}
}

func TestAWayIn(t *testing.T) {
	public, err := sds.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	const entry = "istio-ingressgateway.istio-system"
	e := &Environment{current: topology{gateways: []gateway{east}, entry: entry}, public: public}
	tests := []struct {
		send scenarios.Send
		want route
	}{
		{scenarios.Send{To: "gateway"}, route{client, sender.Message{URL: "http://tyk-gateway.edge.svc.cluster.local:8080"}}},
		{scenarios.Send{To: "service/orders"}, route{client, sender.Message{URL: "http://orders.shop.svc.cluster.local:8080"}}},
		{scenarios.Send{From: "ns/shop/sa/reports", To: "orders"},
			route{place{"shop", "as-reports"}, sender.Message{URL: "http://orders.shop.svc.cluster.local:8080"}}},
		{scenarios.Send{To: "ingress", Host: "orders.example"},
			route{client, sender.Message{URL: "https://orders.example", Host: "orders.example", Connect: entry + ".svc.cluster.local:443", TLS: &sender.TLS{Roots: public.RootPEM()}}}},
		{scenarios.Send{To: "ingress/plaintext", Host: "orders.example"},
			route{client, sender.Message{URL: "http://" + entry + ".svc.cluster.local:443", Host: "orders.example", Connect: entry + ".svc.cluster.local:443"}}},
	}
	for _, test := range tests {
		got, err := e.findRoute(t.Context(), test.send)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(route{}, place{})); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got):\n%s", test.send, err, diff)
		}
	}
	e.current = tour
	for _, nowhere := range []scenarios.Send{{To: "ingress"}, {To: "gateway/north"}, {To: "orders", Tunnel: "waypoint"}, {From: "ns/shop/sa/orders", To: "moon/orders"}} {
		if got, err := e.findRoute(t.Context(), nowhere); err == nil {
			t.Errorf("%+v: got %+v", nowhere, got)
		}
	}
}

func TestALogLineNamesItsPod(t *testing.T) {
	line, ok := parseLogLine([]byte(`[pod/meshpass-1/meshpass] {"kind": "check", "reason": "no_rule"}` + "\n"))
	if !ok || line.pod != "meshpass-1" || line.FieldText("reason") != "no_rule" {
		t.Errorf("got %v, %v", line, ok)
	}
	for _, bad := range []string{"", "[pod/meshpass-1/meshpass] panic: …", `{"kind": "check"}`} {
		if line, ok := parseLogLine([]byte(bad)); ok {
			t.Errorf("%q: got %v", bad, line)
		}
	}
}

// A rollout removes a pod between kubectl's list and its read of the pod's log: the list is made again.
func TestLogsOfARemovedPod(t *testing.T) {
	dir := t.TempDir()
	const kubectl = `#!/bin/sh
if mkdir "$0.called" 2>/dev/null; then
	seq 100 # lines of the other pods
	echo 'Error from server (NotFound): pods "tyk-gateway-1" not found' >&2
	exit 1
fi
echo read`
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte(kubectl), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	out, err := (&Environment{root: dir}).readLogs(t.Context(), sharedAuthorizers)
	if err != nil || string(out) != "read\n" {
		t.Errorf("got %q, %v", out, err)
	}
}

func TestALoadIsJudged(t *testing.T) {
	count := func(all, tail map[string]int) sender.Tally { return sender.Tally{All: all, Tail: tail} }
	fine := count(map[string]int{"200": 9}, map[string]int{"200": 3})
	refused := count(map[string]int{"200": 9, "503": 1}, map[string]int{"200": 3})
	late := count(map[string]int{"200": 9, "503": 1}, map[string]int{"200": 3, "503": 1})
	other := count(map[string]int{"200": 9, "403": 1}, map[string]int{"200": 3})
	tests := []struct {
		name         string
		tally        sender.Tally
		lost, killed []string
	}{
		{"all fine", fine, nil, nil},
		{"a refusal in between", refused, []string{"1 of 10 requests were not answered with 200: map[200:9 503:1]"}, nil},
		{"a refusal at the end", late, []string{"1 of 10 requests were not answered with 200: map[200:9 503:1]"}, []string{"still other answers than 200 at the end: map[200:3 503:1]"}},
		{"another answer", other, []string{"1 of 10 requests were not answered with 200: map[200:9 403:1]"}, []string{"answers other than 200 and 503: map[200:9 403:1]"}},
		{"nothing", count(nil, nil), []string{"nothing was sent"}, []string{"still other answers than 200 at the end: map[]"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.lost, describeLost(test.tally)); diff != "" {
			t.Errorf("%s, none may be lost (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.killed, describeOutage(test.tally)); diff != "" {
			t.Errorf("%s, a replica died (-want +got):\n%s", test.name, diff)
		}
	}
}

// TestSlowChecks counts only requests of the load that Envoy denied after the whole timeout.
func TestSlowChecks(t *testing.T) {
	began := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	line := func(start, flags, details, duration string) string {
		return `[pod/orders-1/istio-proxy] {"start_time":"` + start + `","response_code":503,"response_flags":"` + flags + `","response_code_details":"` + details + `","duration":` + duration + "}\n"
	}
	const during = "2026-01-01T12:00:01.5Z"
	log := line(during, "UAEX", "ext_authz_error", "251") +
		line(during, "UAEX", "ext_authz_error", "3") + // a refused connection
		line(during, "UAEX", "ext_authz_denied", "300") +
		line(during, "UF", "upstream_reset_before_response_started", "300") +
		line("2026-01-01T11:59:59Z", "UAEX", "ext_authz_error", "251") +
		"[pod/orders-1/istio-proxy] 2026-01-01T12:00:01Z info text\n"
	if got := countSlowChecks([]byte(log), began); got != 1 {
		t.Errorf("%d slow Checks, want 1", got)
	}
}

const calico = `apiVersion: v1
kind: Namespace
metadata: {name: calico-system}
---
# no object
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: calico-node
  namespace: kube-system
spec:
  template:
    spec:
      initContainers: [{name: a, image: "calico/cni:v3"}]
      containers: [{name: b, image: "calico/node:v3"}, {name: c, image: "calico/cni:v3"}]
--- 
apiVersion: apps/v1
kind: Deployment
metadata: {name: controllers}
spec: {template: {spec: {containers: [{image: "calico/kube-controllers:v3"}]}}}
`

func TestAnAddonIsRead(t *testing.T) {
	got, err := readAddon([]byte(calico))
	want := addon{
		images:    []string{"calico/cni:v3", "calico/node:v3", "calico/kube-controllers:v3"},
		workloads: []workload{{"DaemonSet", "kube-system", "calico-node"}, {"Deployment", "default", "controllers"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(addon{}, workload{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if _, err := readAddon([]byte("kind: [")); err == nil || !strings.Contains(err.Error(), "document 1: ") {
		t.Errorf("a broken file: %v", err)
	}
}

func TestAMissingAddonIsNoticedAtOnce(t *testing.T) {
	if _, err := New(Options{Addons: filepath.Join(t.TempDir(), "calico.yaml")}, &Printer{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAskedManifests(t *testing.T) {
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	e := &Environment{root: root}
	for _, label := range []string{"open", "tcp", "observe"} {
		text, err := e.labelledManifests(label)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "NAME") || !strings.Contains(string(text), "labels: {app: "+label+", meshpass.dev/guarded: "+label+"}") {
			t.Errorf("%s: %s", label, text)
		}
		if custom := strings.Contains(string(text), "matchLabels: {app: tcp, meshpass.dev/guarded: tcp}\n  action: CUSTOM"); custom != (label == "tcp") {
			t.Errorf("%s: a policy of its own: %t", label, custom)
		}
	}
}

func TestWhetherAWorkloadWasAsked(t *testing.T) {
	line := func(fields ...string) []logLine {
		l := logLine{Record: scenarios.Record{}}
		for i := 0; i < len(fields); i += 2 {
			l.Record[fields[i]] = fields[i+1]
		}
		return []logLine{l}
	}
	denied := scenarios.Answer{Status: 403, Body: []byte(`{"reason":"unguarded"}`)}
	letIn := scenarios.Answer{Status: 200}
	record := line("id", "41", "callee", "ns/shop/sa/open")
	for name, row := range map[string]struct {
		answer          scenarios.Answer
		decided, logged []logLine
		problems        int
	}{
		"decided":                    {denied, record, line("decision_id", "41"), 0},
		"let in undecided":           {letIn, nil, line("decision_id", "<nil>"), 2},
		"another decision":           {denied, record, line("decision_id", "42"), 1},
		"about another callee":       {denied, line("id", "41", "callee", "ns/shop/sa/orders"), line("decision_id", "41"), 1},
		"refused by the mesh itself": {scenarios.Answer{Status: 503}, nil, line("decision_id", "<nil>"), 2},
	} {
		if got := compareDecision("open", row.answer, row.decided, row.logged); len(got) != row.problems {
			t.Errorf("%s: got %q, want %d problems", name, got, row.problems)
		}
	}
}

func TestThePortThatIsForwarded(t *testing.T) {
	for said, want := range map[string]string{
		"Forwarding from 127.0.0.1:39275 -> 8081\nHandling connection for 39275\n": "127.0.0.1:39275",
		"Forwarding from [::1]:39275 -> 8081\nForwarding from 127.0.0.1:1 -> 2\n":  "127.0.0.1:1",
		"error: unable to forward port\n":                                          "",
		"":                                                                         "",
	} {
		if got := readForwardedAddress(strings.NewReader(said)); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

// The commands of docs/operations.md that the cluster runs are those that this test finds.
func TestBreakGlassCommands(t *testing.T) {
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, breakGlassPage))
	if err != nil {
		t.Fatal(err)
	}
	for heading, want := range map[string][2]string{
		liftPolicies: {"mode: shadow, until:", "printf 'overrides: []"},
		letPass:      {`"meshpass.dev/guarded":"open"`, `"meshpass.dev/guarded":"true"`},
		takeOut:      {"delete authorizationpolicy meshpass", "kubectl apply -f manifests/istio/authorization-policy.yaml"},
	} {
		got, err := findBreakGlass(string(page), heading)
		if err != nil || !strings.Contains(got.do, want[0]) || !strings.Contains(got.back, want[1]) {
			t.Errorf("%s: got %q, %v", heading, got, err)
		}
	}
	if _, err := findBreakGlass(string(page), "No such heading"); err == nil {
		t.Error("a heading that does not exist is found")
	}
}
