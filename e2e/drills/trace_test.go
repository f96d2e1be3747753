package drills

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/spans"
)

// The objects that a user applies for traces. istiod finds the receiver by its ServiceEntry.
const (
	traceProvider = `    extensionProviders:
      - name: otel
        opentelemetry: {service: otel-collector.example, port: 4317}
`
	traceObjects = `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: otel-collector, namespace: meshpass} # where the workloads' Sidecar objects look
spec:
  hosts: [otel-collector.example]
  location: MESH_EXTERNAL
  resolution: STATIC
  ports: [{number: 4317, name: grpc-otlp, protocol: GRPC}]
  endpoints: [{address: 127.77.0.5}]
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: traces, namespace: istio-system}
spec:
  tracing: [{providers: [{name: otel}], randomSamplingPercentage: 100}]
---
`
)

// The span of a Check is the child of the span that Envoy makes for its Check, in the trace of the request.
func TestTheSpanOfACheckIsEnvoysChild(t *testing.T) {
	traced := sidecars
	traced.config = "meshpass-traced.yaml"
	r := newRig(t, rigSetup{
		place: traced,
		edits: []fileEdit{{"istio/install.yaml", "    extensionProviders:\n", traceProvider}, {"cluster/meshpass.yaml", "# The authorizer, without", traceObjects + "# The authorizer, without"}},
	})
	receiver := mustGet(spans.Listen(r.net.Addr(authorizerHost) + ":4317"))(t)
	t.Cleanup(receiver.Stop)
	r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)

	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	one := r.newRequest(closed, otherTenant)
	one.header = map[string]string{
		"Traceparent":  "00-" + trace + "-00f067aa0ba902b7-01",
		"X-Request-Id": "c1a4a0a8-4d5a-4b7e-9d0b-6a2f3c1e5b7d", // Envoy traces no request whose id is no UUID
	}
	if got := r.mustSend(t, one); got.String() != "403 no_rule" {
		t.Fatalf("answered %v", got)
	}
	var check, parent spans.Span
	eventually(t, "the collector gets the Check of the traced request, and Envoy's span of it", func() bool {
		all := receiver.ListTrace(trace)
		i := slices.IndexFunc(all, func(s spans.Span) bool { return s.Name == "envoy.service.auth.v3.Authorization/Check" })
		if i < 0 {
			return false
		}
		var found bool
		check = all[i]
		parent, found = receiver.FindParent(check)
		return found
	})
	if parent.Name != "async envoy.service.auth.v3.Authorization.Check egress" || hex.EncodeToString(parent.TraceId) != trace {
		t.Errorf("the parent is %q of trace %x", parent.Name, parent.TraceId)
	}
	var attributes []string
	for _, a := range check.Attributes {
		if name, ours := strings.CutPrefix(a.Key, "meshpass."); ours && name != "txn" {
			attributes = append(attributes, name+"="+a.Value.GetStringValue())
		}
	}
	if want := []string{"listener=sidecar", "decision=deny", "reason=no_rule"}; !slices.Equal(attributes, want) {
		t.Errorf("attributes %q, want %q", attributes, want)
	}
}
