package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

const (
	inMesh  = "http://orders.shop.svc.cluster.local/x"
	foreign = "http://evil.example.com/x"
)

// A definition with a target outside of upstreams is rejected before a token is signed.
func TestTargetsOfDefinitions(t *testing.T) {
	const refusedTarget, missing = decision.UpstreamRefused, decision.GuardMissing
	version := func(target string) func(*call) {
		return func(c *call) {
			c.api.VersionData.Versions = map[string]apidef.VersionInfo{"v1": {}, "v2": {OverrideTarget: target}}
		}
	}
	balanced := func(targets ...string) func(*call) {
		return func(c *call) { c.api.Proxy.EnableLoadBalancing, c.api.Proxy.Targets = true, targets }
	}
	rows := []struct {
		name   string
		change func(*call)
		reason decision.Reason // "": signed
	}{
		{"target", func(c *call) { c.api.Proxy.TargetURL = foreign }, refusedTarget},
		{"target without a host", func(c *call) { c.api.Proxy.TargetURL = "" }, refusedTarget},
		{"target that is no URL", func(c *call) { c.api.Proxy.TargetURL = "http://[" }, refusedTarget},
		{"version", version(foreign), refusedTarget},
		{"version that is an API of the gateway", version("tyk://other"), refusedTarget},
		{"version in the mesh", version(inMesh), ""},
		{"load balancing", balanced(inMesh, foreign), refusedTarget},
		{"load balancing to an API of the gateway", balanced(inMesh, "tyk://other"), refusedTarget},
		{"load balancing in the mesh", balanced(inMesh, " orders.svc.cluster.local:8080 "), ""},
		{"a list without load balancing", func(c *call) { c.api.Proxy.Targets = []string{foreign} }, ""},
		{"discovery", func(c *call) { c.api.Proxy.ServiceDiscovery.UseDiscoveryService = true }, refusedTarget},
		{"a forward proxy", func(c *call) { c.api.Proxy.Transport.ProxyURL = "http://proxy.example.com:3128" }, refusedTarget},
		{"a forward proxy among the upstreams", func(c *call) { c.api.Proxy.Transport.ProxyURL = "http://127.0.0.1:15001" }, ""},
		{"GraphQL with data sources", func(c *call) {
			c.api.GraphQL = apidef.GraphQLConfig{Enabled: true, ExecutionMode: apidef.GraphQLExecutionModeExecutionEngine}
		}, refusedTarget},
		{"no guard", func(c *call) { c.api.CustomMiddleware.Post = nil }, missing},
		{"guard that is disabled", func(c *call) { c.api.CustomMiddleware.Post[0].Disabled = true }, missing},
		{"a plugin behind the guard", func(c *call) {
			c.api.CustomMiddleware.Post = append(c.api.CustomMiddleware.Post, apidef.MiddlewareDefinition{Name: "Redirect"})
		}, missing},
		{"a disabled one behind the guard", func(c *call) {
			c.api.CustomMiddleware.Post = append(c.api.CustomMiddleware.Post, apidef.MiddlewareDefinition{Name: "Redirect", Disabled: true})
		}, ""},
		{"a bundle without the guard", func(c *call) { c.api.CustomMiddleware.Post, c.api.CustomMiddlewareBundle = nil, "bundle.zip" }, missing},
		{"a bundle", func(c *call) { c.api.CustomMiddlewareBundle = "bundle.zip" }, ""},
	}
	p := startRig(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			row.change(c)
			r := c.request()
			if rw := p.callSignAndGuard(r); row.reason == "" {
				requireSigned(t, p, r, rw)
			} else {
				requireDenied(t, p, r, rw, 500, row.reason)
			}
		})
	}
}

// Before the last hook Tyk has decided where the request goes: URL rewriting may name another host, or
// another API of the gateway.
func TestWhereTheRequestGoes(t *testing.T) {
	rewriting := func(c *call) {
		addPaths(c, apidef.ExtendedPathsSet{URLRewrite: []apidef.URLRewriteMeta{{Path: "/x"}}})
	}
	keepHost := func(c *call) { c.api.Proxy.PreserveHostHeader = true }
	to := func(target string) func(*http.Request) {
		return func(r *http.Request) {
			u, _ := url.Parse(target)
			setContextValue(r, ctx.UrlRewriteTarget, u)
			setContextValue(r, ctx.RetainHost, u.Scheme != "tyk")
		}
	}
	const gets, none, no = "signed", "unsigned", "refused"
	rows := []struct {
		name   string
		api    func(*call)
		change func(*http.Request)
		want   string
	}{
		{"rewritten to a foreign host", rewriting, to(foreign), no},
		{"rewritten to a foreign host with ours as user", rewriting, to("http://orders.shop.svc.cluster.local@evil.example.com/"), no},
		{"rewritten within the mesh", rewriting, to(inMesh), gets},
		{"rewritten path only", rewriting, func(r *http.Request) { setContextValue(r, ctx.UrlRewriteTarget, &url.URL{Path: "/y"}) }, gets},
		{"host kept from an API before, and the client's own URL", rewriting, func(r *http.Request) {
			setContextValue(r, ctx.RetainHost, true)
			r.URL.Scheme, r.URL.Host = "http", "evil.example.com"
		}, no},
		{"an absolute URL from the client", func(*call) {}, func(r *http.Request) { r.URL.Scheme, r.URL.Host = "http", "evil.example.com" }, gets},
		{"a loop", rewriting, to("tyk://other/x"), none},
		{"a loop that the client asks for", func(*call) {}, func(r *http.Request) { r.URL.Scheme = "tyk" }, none},
		{"a loop by Tyk's own header", func(*call) {}, func(r *http.Request) { r.Header.Set("X-Tyk-Internal", "1") }, none},
		{"a loop by target_url", func(c *call) { c.api.Proxy.TargetURL = "tyk://other" }, func(*http.Request) {}, none},
		{"the client's Host", keepHost, func(r *http.Request) { r.Host = "evil.example.com" }, no},
		{"the client's Host, of the mesh", keepHost, func(r *http.Request) { r.Host = "orders.shop.svc.cluster.local:8080" }, gets},
	}
	p := startRig(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			row.api(c)
			r := c.request()
			SignIdentity(httptest.NewRecorder(), r)
			row.change(r)
			rw := httptest.NewRecorder()
			GuardUpstream(rw, r)
			switch row.want {
			case gets:
				requireSigned(t, p, r, rw)
			case none:
				requireUnsigned(t, p, r, rw)
			default:
				requireDenied(t, p, r, rw, 500, decision.UpstreamRefused)
				if last := lastLine(p.audit.String()); !strings.Contains(last, `"sub":"key:partner-7"`) {
					t.Errorf("audit: %s", last)
				}
			}
		})
	}
}

// Between our hooks no middleware sees a token. Headers that header transforms write under our names are
// removed by the last hook.
func TestNoTokenBeforeTheGuard(t *testing.T) {
	p := startRig(t)
	r := keyCall().request()
	SignIdentity(httptest.NewRecorder(), r)
	requireUnsigned(t, p, r, httptest.NewRecorder())
	r.Header = http.Header{"Txn-Token": {"forged"}, "X-Meshpass-User": {"root"}}
	rw := httptest.NewRecorder()
	GuardUpstream(rw, r)
	requireSigned(t, p, r, rw)
	if len(r.Header) != 1 {
		t.Errorf("left on the request: %v", headerNames(r.Header))
	}
	if n := strings.Count(p.audit.String(), `"kind":"issue"`); n != 1 {
		t.Errorf("%d records of an issued token, want 1", n)
	}
}

// A token is signed once for an identity, by the API that has found it.
func TestIdentityIsTakenOnce(t *testing.T) {
	p := startRig(t)
	other := keyCall()
	other.api.APIID = "other"
	for name, between := range map[string]func(*call, *http.Request){
		"again": func(_ *call, r *http.Request) {
			GuardUpstream(httptest.NewRecorder(), r)
			r.Header.Del(identity.Header)
		},
		"by an API that identifies no caller": func(_ *call, r *http.Request) { ctx.SetDefinition(r, &other.api) },
		"after the post hook of another API": func(c *call, r *http.Request) {
			ctx.SetDefinition(r, &other.api)
			GuardUpstream(httptest.NewRecorder(), r)
			ctx.SetDefinition(r, &c.api)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := keyCall()
			r := c.request()
			SignIdentity(httptest.NewRecorder(), r)
			between(c, r)
			rw := httptest.NewRecorder()
			GuardUpstream(rw, r)
			requireUnsigned(t, p, r, rw)
		})
	}
}

// One configuration decides a request, from its first hook to its last.
func TestReloadBetweenHooks(t *testing.T) {
	p := startRig(t)
	r := keyCall().request()
	SignIdentity(httptest.NewRecorder(), r)
	replaceIn(t, p, "*.svc.cluster.local", "*.other.example.com")
	p.checkOnce()
	rw := httptest.NewRecorder()
	GuardUpstream(rw, r)
	requireSigned(t, p, r, rw)
	r = keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.UpstreamRefused)
}
