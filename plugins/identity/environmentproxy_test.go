package main

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
)

// For an API without proxy_url, Tyk uses the proxy of the environment, which can read requests that are not
// encrypted.
func TestProxyOfTheEnvironment(t *testing.T) {
	before := tykapi.EnvironmentProxy
	t.Cleanup(func() { tykapi.EnvironmentProxy = before })
	through := func(proxy string) func(*http.Request) (*url.URL, error) {
		return func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme != "http" || r.URL.Hostname() == "direct.svc.cluster.local" {
				return nil, nil
			}
			return url.Parse(proxy)
		}
	}
	target := func(text string) func(*call) { return func(c *call) { c.api.Proxy.TargetURL = text } }
	const abroad = "http://user:secret@proxy.example.com:3128"
	rows := []struct {
		name, proxy string
		change      func(*call)
		rewritten   string
		refused     bool
	}{
		{"abroad", abroad, target(inMesh), "", true},
		{"abroad and a WebSocket", abroad, target("ws://orders.svc.cluster.local"), "", true},
		{"abroad and TLS", abroad, target("https://orders.svc.cluster.local"), "", false},
		{"abroad and not for this host", abroad, target("http://direct.svc.cluster.local"), "", false},
		{"abroad for the host of a rewrite", abroad, target("http://direct.svc.cluster.local"), inMesh, true},
		{"abroad and a proxy of the API", abroad, func(c *call) { c.api.Proxy.Transport.ProxyURL = "http://127.0.0.1:15001" }, inMesh, false},
		{"among the upstreams", "http://127.0.0.1:15001", target(inMesh), inMesh, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			tykapi.EnvironmentProxy = through(row.proxy)
			p := startRig(t)
			c := keyCall()
			addPaths(c, apidef.ExtendedPathsSet{URLRewrite: []apidef.URLRewriteMeta{{Path: "/x"}}})
			row.change(c)
			r := c.request()
			if row.rewritten != "" {
				u, _ := url.Parse(row.rewritten)
				setContextValue(r, ctx.UrlRewriteTarget, u)
				setContextValue(r, ctx.RetainHost, true)
			}
			if rw := p.callSignAndGuard(r); row.refused {
				requireDenied(t, p, r, rw, 500, decision.UpstreamRefused)
			} else {
				requireSigned(t, p, r, rw)
			}
			if strings.Contains(p.log.String(), "secret@") {
				t.Errorf("the log holds the proxy's password: %s", &p.log)
			}
		})
	}
}
