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

// mesh is cluster.local, which was once called old.local.
var mesh = identity.TrustDomains{Local: "cluster.local", Aliases: []string{"old.local"}}

func listening(as decide.Peers) func(*check.Config) {
	return func(c *check.Config) { c.Decide.Peers = as }
}

func services(at netip.AddrPort) identity.Workload {
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
		r.Attributes.Source = peer("", "127.77.0.10", 40022)
		r.Attributes.Destination = peer("", ordersIP, 8080)
		r.Attributes.Request.Http.Headers["x-forwarded-client-cert"] = waypoint + theEdge
		both(changes...)(r)
	}
}

func xfcc(value string) func(*auth.CheckRequest) { return headers("x-forwarded-client-cert", value) }

func address(ip string, port uint32) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) { r.Attributes.Destination = peer("", ip, port) }
}

func host(name string) func(*auth.CheckRequest) {
	return func(r *auth.CheckRequest) {
		r.Attributes.Request.Http.Host = name
		r.Attributes.Request.Http.Headers[":authority"] = name
	}
}

// Where XFCC is believed, its last element is the caller or there is none.
func TestCallerByXFCC(t *testing.T) {
	h := newHop(t, listening(decide.Peers{Caller: decide.CallerByXFCC(mesh), Callee: decide.CalleeByAddress(services)}))
	allowed := map[string]any{"caller": "ns/edge/sa/tyk-gateway", "callee": "service/shop/orders"}
	refused := map[string]any{"caller": nil, "callee": "service/shop/orders"}
	for _, r := range []row{
		{name: "as a waypoint writes it", status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "several elements, the last is true", change: xfcc(waypoint + reports + "," + waypoint + theEdge), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "several elements, a forged one before", change: xfcc(waypoint + theEdge + "," + waypoint + reports), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "an alias of the trust domain", change: xfcc("URI=spiffe://old.local/ns/edge/sa/tyk-gateway"), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "another trust domain", change: xfcc("URI=spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "spiffe://evil.example/ns/edge/sa/tyk-gateway"}},
		{name: "a trust domain that begins alike", change: xfcc("URI=spiffe://cluster.local.evil/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "none", change: without("x-forwarded-client-cert"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "empty", change: xfcc(""), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "no URI", change: xfcc("By=a;Hash=0a1b"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "an empty URI", change: xfcc("By=a;URI="), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "two URIs", change: xfcc("URI=" + reports + ";URI=" + theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a DNS name only", change: xfcc("By=a;DNS=tyk.edge.svc"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a DNS name as URI", change: xfcc("URI=tyk.edge.svc"), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "malformed", change: xfcc(`Subject="` + "," + waypoint + theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "in the list only", change: both(without("x-forwarded-client-cert"), raw("X-Forwarded-Client-Cert", waypoint+theEdge)), status: 200, reason: decision.RuleAllowed, record: allowed},
		{name: "twice in the list", change: both(without("x-forwarded-client-cert"), raw("x-forwarded-client-cert", waypoint+reports, "x-forwarded-client-cert", waypoint+theEdge)), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "in map and list", change: raw("x-forwarded-client-cert", waypoint+theEdge), status: 403, reason: decision.BadPrincipal, record: refused},
		{name: "a principal beside it is not looked at", change: both(xfcc(waypoint+reports), from(theEdge)), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports"}},
		// The token names the gateway as its requester; that names the token's user, not the caller.
		{name: "a workload with the gateway's token", change: xfcc(waypoint + reports), status: 403, reason: decision.NoRule,
			record: map[string]any{"caller": "ns/shop/sa/reports", "sub": "idp:alice"}},
	} {
		r.change = throughWaypoint(orNothing(r.change))
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

func orNothing(change func(*auth.CheckRequest)) func(*auth.CheckRequest) {
	if change == nil {
		return func(*auth.CheckRequest) {}
	}
	return change
}

// A waypoint routes by the Service's address, so that is who is called.
func TestCalleeByAddress(t *testing.T) {
	h := newHop(t, listening(decide.Peers{Caller: decide.CallerByXFCC(mesh), Callee: decide.CalleeByAddress(services)}))
	for _, r := range []row{
		{name: "IPv4", change: address(ordersIP, 8080), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "service/shop/orders"}},
		{name: "IPv6", change: address("fd00::7", 8080), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "service/shop/orders"}},
		{name: "IPv4 in IPv6", change: address("::ffff:"+ordersIP, 8080), status: 200, reason: decision.RuleAllowed},
		{name: "another Service under this one's name", change: both(address("10.96.0.8", 8080), host("orders.shop.svc.cluster.local:8080")), status: 403, reason: decision.Unguarded,
			record: map[string]any{"callee": "service/shop/catalogue"}},
		{name: "this Service under another's name", change: both(address(ordersIP, 8080), host("catalogue.shop.svc.cluster.local")), status: 200, reason: decision.RuleAllowed,
			record: map[string]any{"callee": "service/shop/orders"}},
		{name: "another port", change: address(ordersIP, 9090), status: 403, reason: decision.NoCallee, record: map[string]any{"callee": nil, "caller": "ns/edge/sa/tyk-gateway"}},
		{name: "port 0", change: address(ordersIP, 0), status: 403, reason: decision.NoCallee},
		{name: "a port that only begins alike", change: address(ordersIP, 8080+65536), status: 403, reason: decision.NoCallee},
		{name: "an unknown address", change: address("10.96.0.9", 8080), status: 403, reason: decision.NoCallee},
		{name: "a name", change: address("orders.shop", 8080), status: 403, reason: decision.NoCallee},
		{name: "no address", change: func(r *auth.CheckRequest) { r.Attributes.Destination = nil }, status: 403, reason: decision.NoCallee},
		{name: "a principal does not say it", change: both(address("10.96.0.9", 8080), func(r *auth.CheckRequest) { r.Attributes.Destination.Principal = "service/shop/orders" }), status: 403, reason: decision.NoCallee},
	} {
		r.change = throughWaypoint(r.change)
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

// Where the mesh is entered nobody has a name, whatever the Check says.
func TestNoCaller(t *testing.T) {
	h := newHop(t, listening(decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}))
	region := both(path("/region"), from(theEdge), xfcc(waypoint+theEdge))
	entered := map[string]any{"caller": nil, "callee": "gateway/ingress"}
	for _, r := range []row{
		{name: "a token decides", change: from(""), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "a principal is not looked at", change: from(theEdge), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "nor one that is none", change: from("CN=tyk"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "nor the gateway's own", change: to("spiffe://cluster.local/ns/shop/sa/orders"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "a forged XFCC", change: both(xfcc(waypoint+theEdge), path("/tenants/umbrella/orders/7")), status: 403, reason: decision.NoRule, record: entered},
		{name: "a rule on the caller never allows", change: region, status: 403, reason: decision.ConditionError, record: entered},
		{name: "a rule on having no name", change: path("/open"), status: 200, reason: decision.RuleAllowed, record: entered},
		{name: "no token", change: without("txn-token"), status: 403, reason: decision.TokenMissing, record: entered},
	} {
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

// A gateway routes by the host, so one that it could read in another way is refused there, and so is
// one about which the places of a Check disagree. A sidecar's policy here does not look at it.
func TestHostsAtAGateway(t *testing.T) {
	atGateway := newHop(t, listening(decide.Peers{NoCaller: true, Callee: decide.CalleeNamed("gateway/ingress")}))
	sidecar := newHop(t)
	authority := func(name, value string) func(*auth.CheckRequest) {
		return func(r *auth.CheckRequest) { r.Attributes.Request.Http.Headers[name] = value }
	}
	for _, r := range []row{
		{name: "a name", change: host("orders.shop:443")},
		{name: "an IPv6 address", change: host("[fd00::7]:443")},
		{name: "no host", change: host("")},
		{name: "two ports", change: host("orders.shop:80:80"), reason: decision.AmbiguousHost},
		{name: "a port that is none", change: host("orders.shop:"), reason: decision.AmbiguousHost},
		{name: "a user", change: host("a@orders.shop"), reason: decision.AmbiguousHost},
		{name: "a dot at the end", change: host("orders.shop."), reason: decision.AmbiguousHost},
		{name: "text behind an address", change: host("[fd00::7]evil"), reason: decision.AmbiguousHost},
		{name: "another :authority", change: authority(":authority", "evil.example"), reason: decision.AmbiguousHost},
		{name: "another host", change: authority("host", "evil.example"), reason: decision.AmbiguousHost},
		{name: "another :authority in the list", change: raw(":authority", "evil.example"), reason: decision.AmbiguousHost},
	} {
		t.Run(r.name, func(t *testing.T) {
			inside := r
			inside.status, inside.reason = 200, decision.RuleAllowed
			inside.test(t, sidecar)
			if r.status = 403; r.reason == "" {
				r = inside
			}
			r.test(t, atGateway)
		})
	}
}

// On a sidecar's listener XFCC is a header like any other.
func TestXFCCIsNotLookedAtElsewhere(t *testing.T) {
	h := newHop(t)
	for _, r := range []row{
		{name: "it would lift", change: both(from(reports), xfcc(waypoint+theEdge)), status: 403, reason: decision.NoRule, record: map[string]any{"caller": "ns/shop/sa/reports"}},
		{name: "it would lift an empty principal", change: both(from(""), xfcc(waypoint+theEdge)), status: 403, reason: decision.ConditionError, record: map[string]any{"caller": nil}},
		{name: "it would lower", change: xfcc(waypoint + reports), status: 200, reason: decision.RuleAllowed, record: map[string]any{"caller": "ns/edge/sa/tyk-gateway"}},
		{name: "it is malformed", change: xfcc(`"`), status: 200, reason: decision.RuleAllowed},
		{name: "several elements", change: both(from(reports), xfcc(waypoint+theEdge+","+waypoint+theEdge)), status: 403, reason: decision.NoRule},
	} {
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}

// A sidecar's own word has hostile forms too.
func TestPrincipals(t *testing.T) {
	h := newHop(t, listening(decide.Peers{Caller: decide.CallerByPrincipal(mesh), Callee: decide.CalleeByPrincipal(mesh)}))
	for _, r := range []row{
		{name: "an alias of the trust domain", change: from("spiffe://old.local/ns/edge/sa/tyk-gateway"), status: 200, reason: decision.RuleAllowed, record: map[string]any{"caller": "ns/edge/sa/tyk-gateway"}},
		{name: "the callee under an alias", change: to("spiffe://old.local/ns/shop/sa/orders"), status: 200, reason: decision.RuleAllowed, record: map[string]any{"callee": "ns/shop/sa/orders"}},
		{name: "another trust domain", change: from("spiffe://evil.example/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "an alias in capitals", change: from("spiffe://OLD.local/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.NoRule},
		{name: "a path that goes up", change: from("spiffe://evil.example/../cluster.local/ns/edge/sa/tyk-gateway"), status: 403, reason: decision.BadPrincipal},
		{name: "a short name", change: from("ns/edge/sa/tyk-gateway"), status: 403, reason: decision.BadPrincipal},
		{name: "a DNS name", change: from("tyk-gateway.edge.svc"), status: 403, reason: decision.BadPrincipal},
		{name: "no name is not that none can exist", change: both(from(""), to("spiffe://cluster.local/ns/shop/sa/guest")), status: 403, reason: decision.ConditionError, record: map[string]any{"caller": nil, "callee": "ns/shop/sa/guest"}},
		{name: "a name where none may be", change: to("spiffe://cluster.local/ns/shop/sa/guest"), status: 403, reason: decision.NoRule},
		{name: "two names", change: from(reports + "," + theEdge), status: 403, reason: decision.BadPrincipal},
		{name: "a Service's name", change: to("spiffe://service/shop/orders"), status: 403, reason: decision.Unguarded, record: map[string]any{"callee": "spiffe://service/shop/orders"}},
		{name: "a gateway's name", change: to("gateway/ingress"), status: 403, reason: decision.BadPrincipal, record: map[string]any{"callee": nil}},
		{name: "a workload with the gateway's token", change: from(reports), status: 403, reason: decision.NoRule, record: map[string]any{"caller": "ns/shop/sa/reports", "sub": "idp:alice"}},
	} {
		t.Run(r.name, func(t *testing.T) { r.test(t, h) })
	}
}
