//go:build lintproof

package e2e_test

import "testing"

// TestLintTracing: settings of a Telemetry object cut traces, as `meshpass lint` finds.
func TestLintTracing(t *testing.T) {
	const (
		uuid    = "c1a4a0a8-4d5a-4b7e-9d0b-6a2f3c1e5b7d"
		parent  = "00-4bf92f3577b34da603ce929d0e0e4736-00f067aa0ba902b7-00"
		another = "00-4bf92f3577b34da603ce929d0e0e4737-00f067aa0ba902b7-00"
		setting = "useRequestIdForTraceSampling: false"
	)
	t.Run("tracing_request_id", func(t *testing.T) {
		c, mesh := startTraced(t, tykTraces, setting, "useRequestIdForTraceSampling: true")
		sendTraced(t, mesh, "request 2", "acme", parent)
		sendTraced(t, mesh, uuid, "globex", another)
		c.awaitTrace(t, mesh, uuid, traceOfAnotherID) // spans of the first would be there when those of the second are
		c.awaitTrace(t, mesh, "request 2", traceDropped)
	})
	t.Run("tracing_context_disabled", func(t *testing.T) {
		c, mesh := startTraced(t, tykTraces, setting, setting+"\n      disableContextPropagation: true")
		sendTraced(t, mesh, "request 2", "acme", parent)
		c.awaitTrace(t, mesh, "request 2", traceFlat)
	})
	t.Run("tracing_context_disabled, no traceparent", func(t *testing.T) {
		c, mesh := startTraced(t, "", setting, setting+"\n      disableContextPropagation: true")
		sendTraced(t, mesh, "request 2", "globex", "")
		c.awaitTrace(t, mesh, "request 2", traceApart)
	})
}

const (
	// traceOfAnotherID: the mesh has another request id than Tyk's record.
	traceOfAnotherID = `
tyk.audit.log kind=issue decision=allow reason=issued id=#1 txn=#2 trace_id=#3 sub=demo:alice
below 00f067aa0ba902b7, tyk-gateway: GET /jwt/tenants/globex/orders/1001 [meshpass.issue decision=allow reason=issued txn=#2]
  tyk-gateway: HTTP GET
    tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=#4
      orders: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=#4 txn=#2 decision_id=#5
        orders: async envoy.service.auth.v3.Authorization.Check egress
          meshpass: envoy.service.auth.v3.Authorization/Check decision=deny reason=no_rule txn=#2
`
	// traceDropped has no span of the mesh.
	traceDropped = traceNotSampled + `below 00f067aa0ba902b7, tyk-gateway: GET /jwt/tenants/acme/orders/1001 [meshpass.issue decision=allow reason=issued txn=#2]
  tyk-gateway: HTTP GET
`
	// traceFlat has each hop below Tyk's span, beside the hop that called it.
	traceFlat = traceNotSampled + `below 00f067aa0ba902b7, tyk-gateway: GET /jwt/tenants/acme/orders/1001 [meshpass.issue decision=allow reason=issued txn=#2]
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
	// traceApart: each hop has a trace of its own, and the audit record has no trace id.
	traceApart = `
tyk.audit.log kind=issue decision=allow reason=issued id=#1 txn=#2 sub=demo:alice
tyk-gateway.access.log response_code=403 trace_id=#3
orders.access.log response_code=403 reason=no_rule decision_id=#4 txn=#2 trace_id=#5 sub=demo:alice
meshpass.audit.log kind=check decision=deny reason=no_rule id=#4 txn=#2 sub=demo:alice
tyk-gateway: orders.shop.svc.cluster.local:80/* http.status_code=403 guid:x-request-id=request 2
`
)
