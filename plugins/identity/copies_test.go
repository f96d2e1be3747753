package main

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	tykconfig "github.com/TykTechnologies/tyk/config"
	"github.com/TykTechnologies/tyk/ctx"
	"github.com/TykTechnologies/tyk/user"

	"github.com/meshpass/meshpass/shared/decision"
)

// gatewayConfig is the gateway's own configuration. A gateway has read it before it
// loads plugins, and so it is set before any init function runs: the plugin's own
// starts a goroutine that reads it.
var gatewayConfig = func() *atomic.Pointer[tykconfig.Config] {
	var c atomic.Pointer[tykconfig.Config]
	c.Store(&tykconfig.Config{EnableAnalytics: true})
	tykconfig.Global = func() tykconfig.Config { return *c.Load() }
	return &c
}()

// A request is denied if Tyk would store it or its answer, unless the plugin's file names the API.
func TestCopies(t *testing.T) {
	const cache, recording = decision.ResponseCache, decision.DetailedRecording
	rows := []struct {
		name   string
		change func(*call)
		reason decision.Reason // "": signed
	}{
		{"cache of all safe requests", func(c *call) {
			c.api.CacheOptions = apidef.CacheOptions{EnableCache: true, CacheAllSafeRequests: true}
		}, cache},
		{"cache of some paths", func(c *call) {
			c.api.CacheOptions.EnableCache = true
			addPaths(c, apidef.ExtendedPathsSet{Cached: []string{"/orders"}})
		}, cache},
		{"cache of some paths, in the newer form", func(c *call) {
			c.api.CacheOptions.EnableCache = true
			addPaths(c, apidef.ExtendedPathsSet{AdvanceCacheConfig: []apidef.CacheMeta{{Method: "GET", Path: "/orders"}}})
		}, cache},
		{"cache of paths that are switched off", func(c *call) {
			c.api.CacheOptions.EnableCache = true
			addPaths(c, apidef.ExtendedPathsSet{AdvanceCacheConfig: []apidef.CacheMeta{{Disabled: true, Path: "/orders"}}})
		}, ""},
		{"cache that is on and for nothing, as in the dashboard's definitions", func(c *call) { c.api.CacheOptions.EnableCache = true }, ""},
		{"cache that is off", func(c *call) { c.api.CacheOptions.CacheAllSafeRequests = true }, ""},

		{"recording by the definition", func(c *call) { c.api.EnableDetailedRecording = true }, recording},
		{"recording by the key", func(c *call) { c.session.EnableDetailedRecording = true }, recording},
		{"recording by the key, old name", func(c *call) { c.session.EnableDetailRecording = true }, recording}, //nolint:staticcheck // Tyk still obeys it
		{"GraphQL, which is always recorded", func(c *call) {
			c.api.GraphQL = apidef.GraphQLConfig{Enabled: true, ExecutionMode: apidef.GraphQLExecutionModeProxyOnly}
		}, recording},
		{"our header as a tag", func(c *call) { c.api.TagHeaders = []string{"x-request-id", "txn-token"} }, recording},
		{"recording of an API that is not tracked", func(c *call) { c.api.EnableDetailedRecording, c.api.DoNotTrack = true, true }, ""},
	}
	p := startRig(t)
	allowed := startRig(t, "optionalIdentity: [open-api]", "responseCache: [orders-key], detailedRecording: [orders-key]")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			row.change(c)
			activeSigner = func() *signer { return p.signer }
			r := c.request()
			if rw := p.callSignAndGuard(r); row.reason == "" {
				requireSigned(t, p, r, rw)
			} else {
				requireDenied(t, p, r, rw, 500, row.reason)
			}
			activeSigner = func() *signer { return allowed.signer }
			r = c.request()
			requireSigned(t, allowed, r, allowed.callSignAndGuard(r))
		})
	}
}

// addPaths makes two versions; the second has the paths.
func addPaths(c *call, set apidef.ExtendedPathsSet) {
	c.api.VersionData.Versions = map[string]apidef.VersionInfo{"v1": {}, "v2": {ExtendedPaths: set}}
}

func TestRecordingByOthers(t *testing.T) {
	t.Run("by the organisation", func(t *testing.T) {
		p := startRig(t)
		r := keyCall().request()
		setContextValue(r, ctx.OrgSessionContext, &user.SessionState{EnableDetailedRecording: true})
		requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.DetailedRecording)
	})
	t.Run("by the gateway", func(t *testing.T) {
		withGateway(t, tykconfig.Config{EnableAnalytics: true, AnalyticsConfig: tykconfig.AnalyticsConfigConfig{EnableDetailedRecording: true}})
		p := startRig(t)
		r := keyCall().request()
		requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.DetailedRecording)
	})
	t.Run("nothing without analytics", func(t *testing.T) {
		withGateway(t, tykconfig.Config{})
		p := startRig(t)
		c := keyCall()
		c.api.EnableDetailedRecording, c.session.EnableDetailedRecording = true, true
		r := c.request()
		requireSigned(t, p, r, p.callSignAndGuard(r))
	})
}

func withGateway(t *testing.T, c tykconfig.Config) {
	t.Helper()
	before := gatewayConfig.Swap(&c)
	t.Cleanup(func() { gatewayConfig.Store(before) })
}

// OpenAPI definitions are read in their classic form.
func TestCopiesOfOpenAPI(t *testing.T) {
	p := startRig(t)
	for name, change := range map[string]func(*apidef.APIDefinition){
		"all safe requests": func(d *apidef.APIDefinition) { d.CacheOptions.CacheAllSafeRequests = true },
		"one operation": func(d *apidef.APIDefinition) {
			d.VersionData.Versions = map[string]apidef.VersionInfo{"": {UseExtendedPaths: true, ExtendedPaths: apidef.ExtendedPathsSet{
				AdvanceCacheConfig: []apidef.CacheMeta{{Method: http.MethodGet, Path: "/orders"}}}}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := keyCall().request()
			useOpenAPI(r, openAPI(t, func(d *apidef.APIDefinition) { d.CacheOptions.EnableCache = true; change(d) }))
			requireDenied(t, p, r, p.callSignAndGuard(r), 500, decision.ResponseCache)
		})
	}
}
