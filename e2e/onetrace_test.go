package e2e_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	common "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/e2e/spans"
)

// tykTraces switches Tyk's tracing on: Tyk decides what is sampled.
const tykTraces = `"opentelemetry": {"enabled": true, "exporter": "grpc", "endpoint": "COLLECTOR", "span_processor_type": "simple", "sampling": {"type": "TraceIDRatioBased", "rate": 0.5, "parent_based": false}}, `

// One request is one trace: Tyk's spans with the signing as an event, each Envoy's, and each Check's with its decision. Tyk decides
// what is sampled, whatever the client's flag says. All records have the trace's id.
func TestOneTrace(t *testing.T) {
	c, mesh := startTraced(t, tykTraces)
	requests := []struct{ id, tenant, trace, flags, want string }{
		{"request 1", "acme", "4bf92f3577b34da6f3ce929d0e0e4736", "01", traceNotSampled}, // the sampler compares the second half with the rate
		{"request 2", "acme", "4bf92f3577b34da603ce929d0e0e4736", "00", traceAllowed},
		{"c1a4a0a8-4d5a-4b7e-9d0b-6a2f3c1e5b7d", "globex", "4bf92f3577b34da603ce929d0e0e4737", "00", traceDenied},
	}
	for _, r := range requests {
		answer := sendTraced(t, mesh, r.id, r.tenant, "00-"+r.trace+"-00f067aa0ba902b7-"+r.flags)
		if got := answer.Header.Get("X-Tyk-Trace-Id"); got != r.trace {
			t.Errorf("Tyk says trace %q, want %s", got, r.trace)
		}
	}
	for _, r := range slices.Backward(requests) { // spans of the first would be there when those of the others are
		c.awaitTrace(t, mesh, r.id, r.want)
	}
}

// Without Tyk's tracing, the client's traceparent goes through: the spans of the mesh are below the client's, and all records have its
// id. Without both, the trace begins at the first Envoy, and the transaction joins the record of the edge.
func TestOneTraceWithoutTyk(t *testing.T) {
	c, mesh := startTraced(t, "")
	sendTraced(t, mesh, "request 1", "acme", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	sendTraced(t, mesh, "request 2", "globex", "")
	c.awaitTrace(t, mesh, "request 1", traceOfClient)
	c.awaitTrace(t, mesh, "request 2", traceOfEnvoy)
}

func sendTraced(t *testing.T, mesh *localmesh.Mesh, id, tenant, traceparent string) scenarios.Answer {
	t.Helper()
	request := scenarios.Request{ID: id, Send: scenarios.Send{To: "gateway", Method: "GET", Path: "/jwt/tenants/" + tenant + "/orders/1001", As: "alice"}}
	if traceparent != "" {
		request.Headers = map[string][]string{"traceparent": {traceparent}}
	}
	answer, err := mesh.Send(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// awaitTrace waits until the log lines of a request, and the spans of its trace, are the wanted ones. In their text, ids are numbers.
func (c *collector) awaitTrace(t *testing.T, mesh *localmesh.Mesh, requestID, want string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got := printLines(t, mesh.Dir(), requestID)
		if id := regexp.MustCompile(`trace_id=(\w+)`).FindStringSubmatch(got); id != nil {
			all := c.receiver.ListTrace(id[1])
			roots := slices.DeleteFunc(slices.Clone(all), func(s spans.Span) bool { _, found := c.receiver.FindParent(s); return found })
			got += printTree(all, roots, "")
		}
		if got = "\n" + numberIDs(got); got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%s: got%s\nwant%s", requestID, got, want)
			return
		}
	}
}

func numberIDs(text string) string {
	numbers := map[string]string{}
	return regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}`).ReplaceAllStringFunc(text, func(id string) string {
		if numbers[id] == "" {
			numbers[id] = fmt.Sprint("#", len(numbers)+1)
		}
		return numbers[id]
	})
}

// printTree prints spans and those below them, each with what it says about the request and its decision. The first ones may have a
// parent elsewhere.
func printTree(all, some []spans.Span, indent string) string {
	slices.SortFunc(some, func(a, b spans.Span) int { return cmp.Compare(a.StartTimeUnixNano, b.StartTimeUnixNano) })
	text := ""
	for _, s := range some {
		if indent == "" && len(s.ParentSpanId) > 0 {
			text += fmt.Sprintf("below %x, ", s.ParentSpanId)
		}
		text += indent + s.Service + ": " + s.Name + printAttributes(s.Attributes)
		for _, event := range s.Events {
			text += " [" + event.Name + printAttributes(event.Attributes) + "]"
		}
		below := slices.DeleteFunc(slices.Clone(all), func(child spans.Span) bool { return !bytes.Equal(child.ParentSpanId, s.SpanId) })
		text += "\n" + printTree(all, below, indent+"  ")
	}
	return text
}

func printAttributes(attributes []*common.KeyValue) string {
	text := ""
	for _, key := range []string{"http.status_code", "guid:x-request-id", "meshpass.decision", "meshpass.reason", "meshpass.policy", "meshpass.rule", "meshpass.txn", "meshpass.decision_id"} {
		if value := spans.Attribute(attributes, key); value != "" {
			text += " " + strings.TrimPrefix(key, "meshpass.") + "=" + value
		}
	}
	return text
}

// printLines prints the lines of a request in the logs of a run, each with the fields that join them.
func printLines(t *testing.T, dir, requestID string) string {
	t.Helper()
	text := ""
	for _, name := range []string{"tyk.audit.log", "tyk-gateway.access.log", "orders.access.log", "inventory.access.log", "meshpass.audit.log"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var record scenarios.Record
			if json.Unmarshal(line, &record) != nil || record.FieldText("request_id") != requestID {
				continue
			}
			text += name
			for _, key := range []string{"kind", "decision", "response_code", "reason", "id", "decision_id", "txn", "trace_id", "sub"} {
				if value := record.FieldText(key); value != "" && value != "<nil>" {
					text += " " + key + "=" + value
				}
			}
			text += "\n"
		}
	}
	return text
}

const (
	// traceNotSampled has only the lines of an allowed request.
	traceNotSampled = `
tyk.audit.log kind=issue decision=allow reason=issued id=#1 txn=#2 trace_id=#3 sub=demo:alice
tyk-gateway.access.log response_code=200 trace_id=#3
orders.access.log response_code=200 trace_id=#3
orders.access.log response_code=200 reason=rule_allowed decision_id=#4 txn=#2 trace_id=#3 sub=demo:alice
inventory.access.log response_code=200 reason=rule_allowed decision_id=#5 txn=#2 trace_id=#3 sub=demo:alice
meshpass.audit.log kind=check decision=allow reason=rule_allowed id=#4 txn=#2 trace_id=#3 sub=demo:alice
meshpass.audit.log kind=check decision=allow reason=rule_allowed id=#5 txn=#2 trace_id=#3 sub=demo:alice
`
	traceAllowed = traceNotSampled + `below 00f067aa0ba902b7, tyk-gateway: GET /jwt/tenants/acme/orders/1001 [meshpass.issue decision=allow reason=issued txn=#2]
  tyk-gateway: HTTP GET
    tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 2
      orders: orders.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 2 txn=#2 decision_id=#4
        orders: async envoy.service.auth.v3.Authorization.Check egress
          meshpass: envoy.service.auth.v3.Authorization/Check decision=allow reason=rule_allowed policy=orders rule=read-own-tenant txn=#2
        orders: inventory.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 2
          inventory: inventory.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 2 txn=#2 decision_id=#5
            inventory: async envoy.service.auth.v3.Authorization.Check egress
              meshpass: envoy.service.auth.v3.Authorization/Check decision=allow reason=rule_allowed policy=inventory rule=stock-for-orders txn=#2
`
	traceDenied = `
tyk.audit.log kind=issue decision=allow reason=issued id=#1 txn=#2 trace_id=#3 sub=demo:alice
tyk-gateway.access.log response_code=403 trace_id=#3
orders.access.log response_code=403 reason=no_rule decision_id=#4 txn=#2 trace_id=#3 sub=demo:alice
meshpass.audit.log kind=check decision=deny reason=no_rule id=#4 txn=#2 trace_id=#3 sub=demo:alice
below 00f067aa0ba902b7, tyk-gateway: GET /jwt/tenants/globex/orders/1001 [meshpass.issue decision=allow reason=issued txn=#2]
  tyk-gateway: HTTP GET
    tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=#5
      orders: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=#5 txn=#2 decision_id=#4
        orders: async envoy.service.auth.v3.Authorization.Check egress
          meshpass: envoy.service.auth.v3.Authorization/Check decision=deny reason=no_rule txn=#2
`
	traceOfClient = traceNotSampled + `below 00f067aa0ba902b7, tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 1
  orders: orders.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 1 txn=#2 decision_id=#4
    orders: async envoy.service.auth.v3.Authorization.Check egress
      meshpass: envoy.service.auth.v3.Authorization/Check decision=allow reason=rule_allowed policy=orders rule=read-own-tenant txn=#2
    orders: inventory.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 1
      inventory: inventory.shop.svc.cluster.local:80/* http.status_code=200 guid:x-request-id=request 1 txn=#2 decision_id=#5
        inventory: async envoy.service.auth.v3.Authorization.Check egress
          meshpass: envoy.service.auth.v3.Authorization/Check decision=allow reason=rule_allowed policy=inventory rule=stock-for-orders txn=#2
`
	traceOfEnvoy = `
tyk.audit.log kind=issue decision=allow reason=issued id=#1 txn=#2 sub=demo:alice
tyk-gateway.access.log response_code=403 trace_id=#3
orders.access.log response_code=403 reason=no_rule decision_id=#4 txn=#2 trace_id=#3 sub=demo:alice
meshpass.audit.log kind=check decision=deny reason=no_rule id=#4 txn=#2 trace_id=#3 sub=demo:alice
tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=request 2
  orders: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=request 2 txn=#2 decision_id=#4
    orders: async envoy.service.auth.v3.Authorization.Check egress
      meshpass: envoy.service.auth.v3.Authorization/Check decision=deny reason=no_rule txn=#2
`
)

// startTraced starts the tour in which Envoys and the authorizer export, and Tyk with a setting. COLLECTOR in it is the receiver's address.
// replaced are pairs of texts in the Telemetry object.
func startTraced(t *testing.T, tykSetting string, replaced ...string) (*collector, *localmesh.Mesh) {
	t.Helper()
	c := &collector{tykSetting: tykSetting, telemetry: strings.NewReplacer(replaced...)}
	t.Cleanup(func() {
		if c.receiver != nil {
			c.receiver.Stop()
		}
	})
	return c, start(t, localmesh.Options{Istiod: true, Prepare: c.prepare})
}

// collector receives the spans of a local mesh.
type collector struct {
	tykSetting string
	telemetry  *strings.Replacer // of texts in the Telemetry object
	receiver   *spans.Receiver
}

// collectorObjects are the collector's Service, as istiod reads it.
const collectorObjects = `apiVersion: v1
kind: Service
metadata: {name: otel-collector, namespace: observability}
spec:
  clusterIP: ADDRESS
  ports: [{name: grpc-otlp, port: 4317, targetPort: 4317, protocol: TCP}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: otel-collector, namespace: observability, labels: {kubernetes.io/service-name: otel-collector}}
addressType: IPv4
endpoints: [{addresses: [ADDRESS], conditions: {ready: true}}]
ports: [{name: grpc-otlp, port: 4317, protocol: TCP}]
`

// prepare starts the receiver, and turns tracing on in the files of a run: as manifests/istio/tracing/telemetry.yaml says, with the provider
// in its comment. Each Sidecar object admits the collector's namespace.
func (c *collector) prepare(dir string) error {
	root, err := repo.Root()
	if err != nil {
		return err
	}
	conf, err := os.ReadFile(filepath.Join(dir, "tyk.conf"))
	if err != nil {
		return err
	}
	host := regexp.MustCompile(`"listen_address": "([0-9.]+\.)10"`).FindStringSubmatch(string(conf))[1] + "8"
	if c.receiver, err = spans.Listen(host + ":4317"); err != nil {
		return err
	}
	shipped := filepath.Join(root, "manifests", "istio")
	telemetry, err := os.ReadFile(filepath.Join(shipped, "tracing", "telemetry.yaml"))
	if err != nil {
		return err
	}
	provider := ""
	for _, line := range regexp.MustCompile(`(?m)^#   (- name: otel|  opentelemetry: .*)$`).FindAllSubmatch(telemetry, -1) {
		provider += "      " + string(line[1]) + "\n"
	}
	type edit struct{ from, to, before, insert string }
	edits := []edit{
		// An IstioOperator among the objects replaces the providers of the one before it, as a further -f of istioctl does.
		{filepath.Join(shipped, "install.yaml"), "cluster/install.yaml", "      - name: meshpass\n", provider},
		{filepath.Join(dir, "meshpass.yaml"), "meshpass.yaml", "audit:", fmt.Sprintf("tracing: {otlp: {endpoint: %q, insecure: true}}\n", host+":4317")},
		{filepath.Join(dir, "tyk.conf"), "tyk.conf", `"log_format"`, strings.ReplaceAll(c.tykSetting, "COLLECTOR", host+":4317")},
	}
	for _, workload := range []string{"tyk-gateway", "orders", "inventory", "reports"} {
		name := filepath.Join("cluster", workload+".yaml")
		edits = append(edits, edit{filepath.Join(dir, name), name, "shop/*", "observability/*, "})
	}
	for _, e := range edits {
		data, err := os.ReadFile(e.from)
		if err != nil {
			return err
		}
		if !bytes.Contains(data, []byte(e.before)) {
			return fmt.Errorf("%s has no %q", e.from, e.before)
		}
		if err := os.WriteFile(filepath.Join(dir, e.to), bytes.Replace(data, []byte(e.before), []byte(e.insert+e.before), 1), 0o600); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cluster", "telemetry.yaml"), []byte(c.telemetry.Replace(string(telemetry))), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "cluster", "collector.yaml"), []byte(strings.ReplaceAll(collectorObjects, "ADDRESS", host)), 0o600)
}
