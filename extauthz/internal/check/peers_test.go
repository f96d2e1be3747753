package check_test

import (
	"net/netip"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

const (
	theEdge  = "spiffe://cluster.local/ns/edge/sa/tyk-gateway"
	reports  = "spiffe://cluster.local/ns/shop/sa/reports"
	waypoint = "By=spiffe://cluster.local/ns/shop/sa/waypoint;URI="
	ordersIP = "10.96.0.7"
)

// mesh is cluster.local, with the former name old.local.
var mesh = identity.TrustDomains{Local: "cluster.local", Aliases: []string{"old.local"}}

func listenAs(as decide.Peers) func(*check.Config) {
	return func(c *check.Config) { c.Decide.Peers = as }
}

func findService(at netip.AddrPort) identity.Workload {
	return map[netip.AddrPort]identity.Workload{
		netip.MustParseAddrPort(ordersIP + ":8080"): "service/shop/orders",
		netip.MustParseAddrPort("[fd00::7]:8080"):   "service/shop/orders",
		netip.MustParseAddrPort("10.96.0.8:8080"):   "service/shop/catalogue",
	}[at]
}

// throughWaypoint is the usual Check as a waypoint sends it: neither side has a
// principal, and the destination is the Service's address.
func throughWaypoint(changes ...func(*auth.CheckRequest)) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		r.Attributes.Source = newPeer("", "127.77.0.10", 40022)
		r.Attributes.Destination = newPeer("", ordersIP, 8080)
		r.Attributes.Request.Http.Headers["x-forwarded-client-cert"] = waypoint + theEdge
		applyAll(changes...)(r)
	}
}

func setXFCC(value string) func(*auth.CheckRequest) {
	return setHeaders("x-forwarded-client-cert", value)
}

func calledAddress(ip string, port uint32) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) { r.Attributes.Destination = newPeer("", ip, port) }
}

func setHost(name string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		r.Attributes.Request.Http.Host = name
		r.Attributes.Request.Http.Headers[":authority"] = name
	}
}

// On a listener that reads XFCC, its last element is the caller, or there is no caller.
func TestCallerByXFCC(t *testing.T) {
	h := newHop(t, listenAs(decide.Peers{Caller: decide.CallerByXFCC(mesh), Callee: decide.CalleeByAddress(findService)}))
	allowed := map[string]any{"caller": "ns/edge/sa/tyk-gateway", "callee": "service/shop/orders"}
	refused := map[string]any{"caller": nil, "callee": "service/shop/orders"}
	for _, r := range []checkRow{
		{name: "as a waypoint writes it", status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "several elements, the last is true", change: setXFCC(waypoint + reports + "," + waypoint + theEdge), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "several elements, a forged one before", change: setXFCC(waypoint + theEdge + "," + waypoint + reports), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "an alias of the trust domain", change: setXFCC("URI=spiffe://old.local/ns/edge/sa/tyk-gateway"), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "another trust domain", change: setXFCC("URI=spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "spiffe://evil.example/ns/edge/sa/tyk-gateway"}},
		{name: "a trust domain that begins alike", change: setXFCC("URI=spiffe://cluster.local.evil/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "none", change: withoutHeader("x-forwarded-client-cert"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "empty", change: setXFCC(""), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "no URI", change: setXFCC("By=a;Hash=0a1b"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "an empty URI", change: setXFCC("By=a;URI="), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "two URIs", change: setXFCC("URI=" + reports + ";URI=" + theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a DNS name only", change: setXFCC("By=a;DNS=tyk.edge.svc"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a DNS name as URI", change: setXFCC("URI=tyk.edge.svc"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "malformed", change: setXFCC(`Subject="` + "," + waypoint + theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "in the list only", change: applyAll(withoutHeader("x-forwarded-client-cert"), addRawHeaders("X-Forwarded-Client-Cert", waypoint+theEdge)), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "twice in the list", change: applyAll(withoutHeader("x-forwarded-client-cert"), addRawHeaders("x-forwarded-client-cert", waypoint+reports, "x-forwarded-client-cert", waypoint+theEdge)), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "in map and list", change: addRawHeaders("x-forwarded-client-cert", waypoint+theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a principal beside it is not looked at", change: applyAll(setXFCC(waypoint+reports), fromPrincipal(theEdge)), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		// The token names the gateway as its requester. That is not the caller.
		{name: "a workload with the gateway's token", change: setXFCC(waypoint + reports), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports", "sub": "idp:alice"}},
	} {
		r.change = throughWaypoint(orNothing(r.change))
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

func orNothing(change func(*auth.CheckRequest)) func(*auth.CheckRequest) {
	if change == nil {
		return func(*auth.CheckRequest) {}
	}
	return change
}

// A waypoint routes by the Service's address, so the Service is the callee.
func TestCalleeByAddress(t *testing.T) {
	h := newHop(t, listenAs(decide.Peers{Caller: decide.CallerByXFCC(mesh), Callee: decide.CalleeByAddress(findService)}))
	for _, r := range []checkRow{
		{name: "IPv4", change: calledAddress(ordersIP, 8080), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "service/shop/orders"}},
		{name: "IPv6", change: calledAddress("fd00::7", 8080), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "service/shop/orders"}},
		{name: "IPv4 in IPv6", change: calledAddress("::ffff:"+ordersIP, 8080), status: 200, reason: decision.RuleAllowed},
		{name: "another Service under this one's name", change: applyAll(calledAddress("10.96.0.8", 8080), setHost("orders.shop.svc.cluster.local:8080")), status: 403, reason: decision.Unguarded,
			record: map[string]any{"callee": "service/shop/catalogue"}},
		{name: "this Service under another's name", change: applyAll(calledAddress(ordersIP, 8080), setHost("catalogue.shop.svc.cluster.local")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"callee": "service/shop/orders"}},
		{name: "another port", change: calledAddress(ordersIP, 9090), status: 403, reason: decision.NoCallee, record: map[string]any{"callee": nil, "caller": "ns/edge/sa/tyk-gateway"}},
		{name: "port 0", change: calledAddress(ordersIP, 0), status: 403, reason: decision.NoCallee},
		{name: "a port that only begins alike", change: calledAddress(ordersIP, 8080+65536), status: 403, reason: decision.NoCallee},
		{name: "an unknown address", change: calledAddress("10.96.0.9", 8080), status: 403, reason: decision.NoCallee},
		{name: "a name", change: calledAddress("orders.shop", 8080), status: 403, reason: decision.NoCallee},
		{name: "no address", change: func(r *auth.CheckRequest) { r.Attributes.Destination = nil }, status: 403, reason: decision.NoCallee},
		{name: "a principal does not say it", change: applyAll(calledAddress("10.96.0.9", 8080), func(r *auth.CheckRequest) { r.Attributes.Destination.Principal = "service/shop/orders" }), status: 403, reason: decision.NoCallee},
	} {
		r.change = throughWaypoint(r.change)
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

// At the entry to the mesh no caller has a name, also if the Check gives one.
func TestNoCaller(t *testing.T) {
	h := newHop(t, listenAs(decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}))
	region := applyAll(setPath("/region"), fromPrincipal(theEdge), setXFCC(waypoint+theEdge))
	entered := map[string]any{"caller": nil, "callee": "gateway/ingress"}
	for _, r := range []checkRow{
		{name: "a token decides", change: fromPrincipal(""), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "a principal is not looked at", change: fromPrincipal(theEdge), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "nor one that is none", change: fromPrincipal("CN=tyk"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "nor the gateway's own", change: toPrincipal("spiffe://cluster.local/ns/shop/sa/orders"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "a forged XFCC", change: applyAll(setXFCC(waypoint+theEdge), setPath("/tenants/umbrella/orders/7")), status: 403, reason: decision.NoRule, record: entered},
		{name: "a rule on the caller never allows", change: region, status: 403, reason: decision.ConditionError, record: entered},
		{name: "a rule on having no name", change: setPath("/open"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "no token", change: withoutHeader("txn-token"), status: 403, reason: decision.TokenMissing, record: entered},
	} {
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

// A gateway routes by the host. A host with two readings is therefore denied there, and so is one
// that differs between the fields of a Check. The policy of a sidecar here does not read it.
func TestHostsAtAGateway(t *testing.T) {
	atGateway := newHop(t, listenAs(decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}))
	sidecar := newHop(t)
	authority := func(name, value string) func(*auth.CheckRequest) {
		return func(r *auth.CheckRequest) { r.Attributes.Request.Http.Headers[name] = value }
	}
	for _, r := range []checkRow{
		{name: "a name", change: setHost("orders.shop:443")},
		{name: "an IPv6 address", change: setHost("[fd00::7]:443")},
		{name: "no host", change: setHost("")},
		{name: "two ports", change: setHost("orders.shop:80:80"), reason: decision.AmbiguousHost},
		{name: "a port that is none", change: setHost("orders.shop:"), reason: decision.AmbiguousHost},
		{name: "a user", change: setHost("a@orders.shop"), reason: decision.AmbiguousHost},
		{name: "a dot at the end", change: setHost("orders.shop."), reason: decision.AmbiguousHost},
		{name: "text behind an address", change: setHost("[fd00::7]evil"), reason: decision.AmbiguousHost},
		{name: "another :authority", change: authority(":authority", "evil.example"), reason: decision.AmbiguousHost},
		{name: "another host", change: authority("host", "evil.example"), reason: decision.AmbiguousHost},
		{name: "another :authority in the list", change: addRawHeaders(":authority", "evil.example"), reason: decision.AmbiguousHost},
	} {
		t.Run(r.name, func(t *testing.T) {
			inside := r
			inside.status, inside.reason = 200, decision.RuleAllowed
			inside.testRow(t, sidecar)
			if r.status = 403; r.reason == "" {
				r = inside
			}
			r.testRow(t, atGateway)
		})
	}
}

// On a sidecar's listener XFCC is an ordinary header.
func TestXFCCIsNotLookedAtElsewhere(t *testing.T) {
	h := newHop(t)
	for _, r := range []checkRow{
		{name: "it would lift", change: applyAll(fromPrincipal(reports), setXFCC(waypoint+theEdge)), status: 403, reason: decision.NoRule, record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "it would lift an empty principal", change: applyAll(fromPrincipal(""), setXFCC(waypoint+theEdge)), status: 403, reason: decision.ConditionError, record: map[string]any{"caller": nil}},
		{name: "it would lower", change: setXFCC(waypoint + reports), status: 200, reason: decision.RuleAllowed, record: map[string]any{"caller": "ns/edge/sa/tyk-gateway"}},
		{name: "it is malformed", change: setXFCC(`"`), status: 200, reason: decision.RuleAllowed},
		{name: "several elements", change: applyAll(fromPrincipal(reports), setXFCC(waypoint+theEdge+","+waypoint+theEdge)), status: 403, reason: decision.NoRule},
	} {
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}

// A principal can be hostile too.
func TestPrincipals(t *testing.T) {
	h := newHop(t, listenAs(decide.Peers{Caller: decide.CallerByPrincipal(mesh), Callee: decide.CalleeByPrincipal(mesh)}))
	for _, r := range []checkRow{
		{name: "an alias of the trust domain", change: fromPrincipal("spiffe://old.local/ns/edge/sa/tyk-gateway"), status: 200, reason: decision.RuleAllowed, record: map[string]any{"caller": "ns/edge/sa/tyk-gateway"}},
		{name: "the callee under an alias", change: toPrincipal("spiffe://old.local/ns/shop/sa/orders"), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "ns/shop/sa/orders"}},
		{name: "another trust domain", change: fromPrincipal("spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "an alias in capitals", change: fromPrincipal("spiffe://OLD.local/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "a path that goes up", change: fromPrincipal("spiffe://evil.example/../cluster.local/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.BadPrincipal},
		{name: "a short name", change: fromPrincipal("ns/edge/sa/tyk-gateway"), status: 403, reason: decision.BadPrincipal},
		{name: "a DNS name", change: fromPrincipal("tyk-gateway.edge.svc"), status: 403, reason: decision.BadPrincipal},
		{name: "no name is not that none can exist", change: applyAll(fromPrincipal(""), toPrincipal("spiffe://cluster.local/ns/shop/sa/guest")), status: 403, reason: decision.ConditionError, record: map[string]any{"caller": nil, "callee": "ns/shop/sa/guest"}},
		{name: "a name where none may be", change: toPrincipal("spiffe://cluster.local/ns/shop/sa/guest"), status: 403, reason: decision.NoRule},
		{name: "two names", change: fromPrincipal(reports + "," + theEdge), status: 403, reason: decision.BadPrincipal},
		{name: "a Service's name", change: toPrincipal("spiffe://service/shop/orders"), status: 403, reason: decision.Unguarded, record: map[string]any{"callee": "spiffe://service/shop/orders"}},
		{name: "a gateway's name", change: toPrincipal("gateway/ingress"), status: 403, reason: decision.BadPrincipal, record: map[string]any{"callee": nil}},
		{name: "a workload with the gateway's token", change: fromPrincipal(reports), status: 403, reason: decision.NoRule, record: map[string]any{"caller": "ns/shop/sa/reports", "sub": "idp:alice"}},
	} {
		t.Run(r.name, func(t *testing.T) { r.testRow(t, h) })
	}
}
