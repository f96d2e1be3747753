package kind

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/envoy/sds"
	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

func TestFind(t *testing.T) {
	for name, want := range map[string]string{
		"":      "cluster istio images deploy run topologies",
		"istio": "istio",
		"clean": "clean",
	} {
		steps, err := Find(name)
		var names []string
		for _, s := range steps {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); got != want || err != nil {
			t.Errorf("%q: got %q (%v), want %q", name, got, err, want)
		}
	}
	const want = `no step "isto"; there are: cluster, istio, images, deploy, run, topologies, clean`
	if _, err := Find("isto"); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEveryCaseLoads(t *testing.T) {
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, topology := range append(shapes(), tour) {
		tests, err := (&Environment{root: root}).cases(topology)
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
		if got := short([]byte(said)); got != want {
			t.Errorf("%q: got %q, want %q", said, got, want)
		}
	}
}

func TestAMissingProgramSaysWhatToDo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, r := range requirements {
		_, err := r.check(t.Context())
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
		{"a container started anew", `{"containerStatuses": [{"name": "app", "ready": true, "state": {"running": {}}}], "phase": "Running"}`, "Running"},
		{"no room", `{"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]}`, "Insufficient cpu"},
	}
	for _, test := range tests {
		var p pod
		if err := json.Unmarshal([]byte(`{"status": `+test.status+`}`), &p); err != nil {
			t.Fatal(err)
		}
		if got := p.why(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}

func TestASenderIsFoundByItsWorkload(t *testing.T) {
	for workload, want := range map[string]place{
		"ns/shop/sa/inventory": {"shop", "as-inventory"},
	} {
		if got, err := senderOf(workload); got != want || err != nil {
			t.Errorf("%q: got %v (%v), want %v", workload, got, err, want)
		}
	}
	if _, err := senderOf("inventory"); err == nil {
		t.Error("a bare name is taken for a workload")
	}
}

func TestAWayIn(t *testing.T) {
	public, err := sds.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	const entry = "istio-ingressgateway.istio-system"
	e := &Environment{at: topology{gateways: []gateway{east}, entry: entry}, public: public}
	tests := []struct {
		send scenarios.Send
		want way
	}{
		{scenarios.Send{To: "gateway"}, way{client, sender.Message{URL: "http://tyk-gateway.edge.svc.cluster.local:8080"}}},
		{scenarios.Send{To: "service/orders"}, way{client, sender.Message{URL: "http://orders.shop.svc.cluster.local:8080"}}},
		{scenarios.Send{From: "ns/shop/sa/reports", To: "orders"},
			way{place{"shop", "as-reports"}, sender.Message{URL: "http://orders.shop.svc.cluster.local:8080"}}},
		{scenarios.Send{To: "ingress", Host: "orders.example"},
			way{client, sender.Message{URL: "https://orders.example", Host: "orders.example", Connect: entry + ".svc.cluster.local:443", TLS: &sender.TLS{Roots: public.Root()}}}},
		{scenarios.Send{To: "ingress/plaintext", Host: "orders.example"},
			way{client, sender.Message{URL: "http://" + entry + ".svc.cluster.local:443", Host: "orders.example", Connect: entry + ".svc.cluster.local:443"}}},
	}
	for _, test := range tests {
		got, err := e.way(t.Context(), test.send)
		if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(way{}, place{})); diff != "" || err != nil {
			t.Errorf("%+v: %v (-want +got):\n%s", test.send, err, diff)
		}
	}
	e.at = tour
	for _, nowhere := range []scenarios.Send{{To: "ingress"}, {To: "gateway/north"}, {To: "orders", Tunnel: "waypoint"}, {From: "ns/shop/sa/orders", To: "moon/orders"}} {
		if got, err := e.way(t.Context(), nowhere); err == nil {
			t.Errorf("%+v: got %+v", nowhere, got)
		}
	}
}

func TestALogLineNamesItsPod(t *testing.T) {
	line, ok := parse([]byte(`[pod/meshpass-1/meshpass] {"kind": "check", "reason": "no_rule"}` + "\n"))
	if !ok || line.pod != "meshpass-1" || line.Text("reason") != "no_rule" {
		t.Errorf("got %v, %v", line, ok)
	}
	for _, bad := range []string{"", "[pod/meshpass-1/meshpass] panic: …", `{"kind": "check"}`} {
		if line, ok := parse([]byte(bad)); ok {
			t.Errorf("%q: got %v", bad, line)
		}
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
		{"a refusal at the end", late, []string{"1 of 10 requests were not answered with 200: map[200:9 503:1]"}, []string{"not well again at the end: map[200:3 503:1]"}},
		{"another answer", other, []string{"1 of 10 requests were not answered with 200: map[200:9 403:1]"}, []string{"answers other than 200 and 503: map[200:9 403:1]"}},
		{"nothing", count(nil, nil), []string{"nothing was sent"}, []string{"not well again at the end: map[]"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.lost, lost(test.tally)); diff != "" {
			t.Errorf("%s, none may be lost (-want +got):\n%s", test.name, diff)
		}
		if diff := cmp.Diff(test.killed, killed(test.tally)); diff != "" {
			t.Errorf("%s, a replica died (-want +got):\n%s", test.name, diff)
		}
	}
}
