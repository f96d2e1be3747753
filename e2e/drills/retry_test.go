package drills

import (
	"slices"
	"testing"
)

// retries makes tyk-gateway's Envoy retry requests that have a header for it. The first
// route is the one that Istio generates for a VirtualService's retries. Istio has no field for hedging.
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

// Each attempt of the caller's Envoy is a separate request to the callee's Envoy, and is decided
// again. A retry of the callee's Envoy comes after the check.
func TestRetries(t *testing.T) {
	r := newRig(t, rigSetup{files: map[string]string{"retries.yaml": retries}})
	t.Run("an outage is not retried by default", func(t *testing.T) { r.checkAttempts(t, "X-Retry", "no", 1) })
	t.Run("each retry of an outage asks again", func(t *testing.T) { r.checkAttempts(t, "X-Retry", "yes", 3) })
	// To a gRPC caller our 503 is UNAVAILABLE, which Istio's default policy retries.
	t.Run("an outage is retried for gRPC", func(t *testing.T) {
		r.checkAttempts(t, "Content-Type", "application/grpc", 3)
	})
	a := r.startAuthorizer(t, authorizerHost)
	r.awaitRecovery(t)
	t.Run("a denial is not retried", func(t *testing.T) {
		one := r.newRequest(closed, otherTenant)
		one.header = map[string]string{"X-Retry": "yes"}
		r.checkDecisions(t, a, r.mustSend(t, one), "deny no_rule")
	})
	t.Run("each retry of a failure is decided", func(t *testing.T) { r.checkRetriesOfFailure(t, a) })
	t.Run("a hedged request is decided for each attempt", func(t *testing.T) { r.checkHedging(t, a) })
	t.Run("the callee's own retries are not decided", func(t *testing.T) { r.checkRetriesOfCallee(t, a) })
}

// checkAttempts sends a request while the authorizer is down, and counts how often Envoy asks.
func (r *rig) checkAttempts(t *testing.T, header, value string, want float64) {
	before := r.extAuthzCounter(t, closed, "error")
	one := r.newRequest(closed, ownTenant)
	one.header = map[string]string{header: value}
	got := r.mustSend(t, one)
	if asked := r.extAuthzCounter(t, closed, "error") - before; asked != want {
		t.Errorf("answered %v; Envoy asked %v times, want %v", got, asked, want)
	}
}

func (r *rig) checkDecisions(t *testing.T, a *authorizer, got answer, want ...string) {
	t.Helper()
	if records := a.decisionsAbout(t, got.id); !slices.Equal(records, want) {
		t.Errorf("answered %v, and the records have %q; want %q", got, records, want)
	}
}

func (r *rig) checkRetriesOfFailure(t *testing.T, a *authorizer) {
	one := r.newRequest(closed, ownTenant)
	one.header = map[string]string{appStatus: "500", "X-Retry": "yes"}
	got := r.mustSend(t, one)
	r.checkDecisions(t, a, got, "allow rule_allowed", "allow rule_allowed", "allow rule_allowed")
	var attempts []string
	for _, header := range r.apps[closed].requestsWithID(got.id) {
		attempts = append(attempts, header.Get("X-Envoy-Attempt-Count"))
	}
	if want := []string{"1", "2", "3"}; !slices.Equal(attempts, want) {
		t.Errorf("the program saw attempts %q, want %q", attempts, want)
	}
}

// checkHedging shows that Envoy does not give up the first attempt when it sends the second.
func (r *rig) checkHedging(t *testing.T, a *authorizer) {
	one := r.newRequest(closed, ownTenant)
	one.header = map[string]string{"X-Hedge": "yes", appHold: "yes"}
	before := r.apps[closed].requestCount()
	client, answered := r.clientOf(t, one.from), make(chan answer, 1)
	go func() {
		got, _ := sendRequest(client, one) // without an answer its status is 0
		answered <- got
	}()
	eventually(t, "the program has both attempts", func() bool { return r.apps[closed].requestCount() == before+2 })
	r.apps[closed].releaseHeld()
	got := <-answered
	if !decided.admits(ownTenant, got) {
		t.Errorf("answered %v", got)
	}
	r.checkDecisions(t, a, got, "allow rule_allowed", "allow rule_allowed")
}

// checkRetriesOfCallee stops the program, so that the callee's Envoy retries.
func (r *rig) checkRetriesOfCallee(t *testing.T, a *authorizer) {
	must(t, r.apps[closed].server.Close())
	failures := func() (sum float64) {
		for _, n := range mustGet(r.envoys[closed].Stats(t.Context(), `^cluster\.inbound.*upstream_cx_connect_fail$`))(t) {
			sum += n
		}
		return sum
	}
	before := failures()
	got := r.mustSend(t, r.newRequest(closed, ownTenant))
	if tried := failures() - before; got.status != 503 || tried != 3 {
		t.Errorf("answered %v after %v tries, want 503 after 3", got, tried)
	}
	r.checkDecisions(t, a, got, "allow rule_allowed")
}
