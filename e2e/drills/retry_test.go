package drills

import (
	"slices"
	"testing"
)

// retries has tyk-gateway's Envoy try again, for requests that say so. The first
// route is what Istio makes of a VirtualService's retries; for hedging it has no field.
const retries = `
apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: retries, namespace: edge}
spec:
  configPatches:
    - applyTo: HTTP_ROUTE
      match: &orders {context: SIDECAR_OUTBOUND, routeConfiguration: {vhost: {name: "orders.shop.svc.cluster.local:80"}}}
      patch:
        operation: INSERT_FIRST
        value:
          match: {prefix: /, headers: [{name: x-retry, string_match: {exact: "yes"}}]}
          route:
            cluster: outbound|80||orders.shop.svc.cluster.local
            retry_policy: {retry_on: 5xx, num_retries: 2}
    - applyTo: HTTP_ROUTE
      match: *orders
      patch:
        operation: INSERT_FIRST
        value:
          match: {prefix: /, headers: [{name: x-hedge, string_match: {exact: "yes"}}]}
          route:
            cluster: outbound|80||orders.shop.svc.cluster.local
            retry_policy: {retry_on: 5xx, num_retries: 1, per_try_timeout: 0.2s}
            hedge_policy: {hedge_on_per_try_timeout: true}
`

// Each attempt of the caller's Envoy is a request of its own to the callee's,
// and is decided anew. What the callee's Envoy tries again is behind the check.
func TestRetries(t *testing.T) {
	r := newRig(t, setup{files: map[string]string{"retries.yaml": retries}})
	t.Run("an outage is not retried by default", func(t *testing.T) { r.asks(t, "X-Retry", "no", 1) })
	t.Run("each retry of an outage asks again", func(t *testing.T) { r.asks(t, "X-Retry", "yes", 3) })
	// To a gRPC caller our 503 is UNAVAILABLE, which Istio's default policy retries.
	t.Run("an outage is retried for gRPC", func(t *testing.T) {
		r.asks(t, "Content-Type", "application/grpc", 3)
	})
	a := r.startAuthorizer(t, authorizerHost)
	r.recovers(t)
	t.Run("a denial is not retried", func(t *testing.T) {
		one := r.ask(closed, foreign)
		one.header = map[string]string{"X-Retry": "yes"}
		r.decides(t, a, r.send(t, one), "deny no_rule")
	})
	t.Run("each retry of a failure is decided", func(t *testing.T) { r.retriesFailure(t, a) })
	t.Run("a hedged request is decided for each attempt", func(t *testing.T) { r.hedges(t, a) })
	t.Run("the callee's own retries are not decided", func(t *testing.T) { r.retriesBehind(t, a) })
}

// asks sends a request that cannot be asked about, and counts how often Envoy tries.
func (r *rig) asks(t *testing.T, header, value string, want float64) {
	before := r.counter(t, closed, "error")
	one := r.ask(closed, own)
	one.header = map[string]string{header: value}
	got := r.send(t, one)
	if asked := r.counter(t, closed, "error") - before; asked != want {
		t.Errorf("answered %v; Envoy asked %v times, want %v", got, asked, want)
	}
}

func (r *rig) decides(t *testing.T, a *authorizer, got answer, want ...string) {
	t.Helper()
	if records := a.about(t, got.id); !slices.Equal(records, want) {
		t.Errorf("answered %v, and the records say %q; want %q", got, records, want)
	}
}

func (r *rig) retriesFailure(t *testing.T, a *authorizer) {
	one := r.ask(closed, own)
	one.header = map[string]string{appStatus: "500", "X-Retry": "yes"}
	got := r.send(t, one)
	r.decides(t, a, got, "allow rule_allowed", "allow rule_allowed", "allow rule_allowed")
	var attempts []string
	for _, header := range r.apps[closed].requests(got.id) {
		attempts = append(attempts, header.Get("X-Envoy-Attempt-Count"))
	}
	if want := []string{"1", "2", "3"}; !slices.Equal(attempts, want) {
		t.Errorf("the program saw attempts %q, want %q", attempts, want)
	}
}

// hedges: the first attempt is not given up when the second is sent.
func (r *rig) hedges(t *testing.T, a *authorizer) {
	one := r.ask(closed, own)
	one.header = map[string]string{"X-Hedge": "yes", appHold: "yes"}
	before := r.apps[closed].total()
	client, answered := r.client(t, one.from), make(chan answer, 1)
	go func() {
		got, _ := deliver(client, one) // without an answer its status is 0
		answered <- got
	}()
	eventually(t, "the program has both attempts", func() bool { return r.apps[closed].total() == before+2 })
	r.apps[closed].release()
	got := <-answered
	if !decided.admits(own, got) {
		t.Errorf("answered %v", got)
	}
	r.decides(t, a, got, "allow rule_allowed", "allow rule_allowed")
}

// retriesBehind: the program is away, and the callee's Envoy looks again.
func (r *rig) retriesBehind(t *testing.T, a *authorizer) {
	must(t, r.apps[closed].server.Close())
	failures := func() (sum float64) {
		for _, n := range must1(r.envoys[closed].Stats(t.Context(), `^cluster\.inbound.*upstream_cx_connect_fail$`))(t) {
			sum += n
		}
		return sum
	}
	before := failures()
	got := r.send(t, r.ask(closed, own))
	if tried := failures() - before; got.status != 503 || tried != 3 {
		t.Errorf("answered %v after %v tries, want 503 after 3", got, tried)
	}
	r.decides(t, a, got, "allow rule_allowed")
}
