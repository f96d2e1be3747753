package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/shared/decision"
)

// mcpCall is a request as Tyk 5.13 gives it to our hooks in the first of its passes.
func mcpCall(c *call) *http.Request {
	r := c.request()
	setContextValue(r, ctx.UrlRewriteTarget, &url.URL{Scheme: "tyk", Host: "self", Path: "/json-rpc-method:tools/call", RawQuery: "check_limits=true"})
	return r
}

// Tyk calls no plugin in the passes that follow, so the first one signs.
func TestMCPCallIsSignedInTheFirstPass(t *testing.T) {
	p := startRig(t)
	for _, c := range []*call{keyCall(), jwtCall()} {
		r := mcpCall(c)
		requireSigned(t, p, r, p.callSignAndGuard(r))
	}
	if n := strings.Count(p.audit.String(), `"reason":"issued"`); n != 2 {
		t.Errorf("%d records of two tokens", n)
	}
}

// Other loops go to chains with hooks of their own.
func TestLoopsThatAreNoMCPCalls(t *testing.T) {
	p := startRig(t)
	for _, target := range []string{"tyk://self/x", "tyk://self/x/json-rpc-method:a", "tyk://other/json-rpc-method:a", "http://self/json-rpc-method:a"} {
		r := keyCall().request()
		u, err := url.Parse(target)
		requireNoError(t, err)
		setContextValue(r, ctx.UrlRewriteTarget, u)
		if rw := p.callSignAndGuard(r); u.Scheme == "tyk" {
			requireUnsigned(t, p, r, rw)
		} else {
			requireSigned(t, p, r, rw) // hasRewrites is false: the host is not Tyk's to follow
		}
	}
	c := keyCall()
	c.api.Proxy.TargetURL = "tyk://other/"
	r := mcpCall(c)
	requireUnsigned(t, p, r, p.callSignAndGuard(r)) // the last pass goes to the other API
}

// A definition whose middlewares would read, change or write the token in the next passes.
func TestMCPDefinitionsThatTouchTheToken(t *testing.T) {
	paths := func(change func(*apidef.ExtendedPathsSet)) func(*apidef.APIDefinition) {
		return func(d *apidef.APIDefinition) {
			var version apidef.VersionInfo
			change(&version.ExtendedPaths)
			d.VersionData.Versions = map[string]apidef.VersionInfo{"Default": version}
		}
	}
	events := func(meta map[string]any) func(*apidef.APIDefinition) {
		return func(d *apidef.APIDefinition) {
			d.EventHandlers.Events = map[apidef.TykEvent][]apidef.EventHandlerTriggerConfig{"QuotaExceeded": {{Handler: "eh_log_handler", HandlerMeta: meta}}}
		}
	}
	headers := func(m apidef.HeaderInjectionMeta) func(*apidef.APIDefinition) {
		return paths(func(p *apidef.ExtendedPathsSet) { p.TransformHeader = []apidef.HeaderInjectionMeta{m} })
	}
	global := func(add map[string]string, remove ...string) func(*apidef.APIDefinition) {
		return func(d *apidef.APIDefinition) {
			d.VersionData.Versions = map[string]apidef.VersionInfo{"Default": {GlobalHeaders: add, GlobalHeadersRemove: remove}}
		}
	}
	rows := []struct {
		name   string
		change func(*apidef.APIDefinition)
		log    string // "": signed
	}{
		{"nothing", func(*apidef.APIDefinition) {}, ""},
		{"an event handler", events(map[string]any{}), "event handlers"},
		{"an event handler that is disabled", events(map[string]any{"disabled": true}), ""},
		{"a virtual endpoint", paths(func(p *apidef.ExtendedPathsSet) { p.Virtual = []apidef.VirtualMeta{{}} }), "virtual endpoints"},
		{"a virtual endpoint that is disabled", paths(func(p *apidef.ExtendedPathsSet) { p.Virtual = []apidef.VirtualMeta{{Disabled: true}} }), ""},
		{"a plugin of an endpoint", paths(func(p *apidef.ExtendedPathsSet) { p.GoPlugin = []apidef.GoPluginMeta{{}} }), "plugins of endpoints"},
		{"URL rewriting", paths(func(p *apidef.ExtendedPathsSet) { p.URLRewrite = []apidef.URLRewriteMeta{{}} }), "URL rewriting"},
		{"the token removed", headers(apidef.HeaderInjectionMeta{DeleteHeaders: []string{"txn-token"}}), "our headers (delete_headers)"},
		{"the token replaced", headers(apidef.HeaderInjectionMeta{AddHeaders: map[string]string{"TXN_TOKEN": "x"}}), "our headers (add_headers)"},
		{"a user's name added", global(map[string]string{"X-Meshpass-User": "root"}), "our headers (global_headers)"},
		{"the token removed everywhere", global(nil, "Txn-Token"), "our headers (global_headers_remove)"},
		{"the token copied", global(map[string]string{"X-Copy": "a $tyk_context.headers_Txn_Token b"}), "our headers (X-Copy)"},
		{"all headers copied", global(map[string]string{"X-Copy": "$tyk_context.headers"}), "our headers (X-Copy)"},
		{"another header copied", global(map[string]string{"X-Copy": "$tyk_context.headers_X_Request_Id $tyk_context.headers_Host"}), ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p := startRig(t)
			c := keyCall()
			row.change(&c.api)
			r := mcpCall(c)
			if rw := p.callSignAndGuard(r); row.log == "" {
				requireSigned(t, p, r, rw)
			} else {
				requireDenied(t, p, r, rw, 500, decision.ConfigInvalid)
				if !strings.Contains(p.log.String(), row.log) {
					t.Errorf("log: %s\nwant %s", &p.log, row.log)
				}
			}
			if row.log != "" && row.log != "URL rewriting" { // a request that is not looped is signed by the last hook, as always
				r := c.request()
				requireSigned(t, p, r, p.callSignAndGuard(r))
			}
		})
	}
}

// A definition in OpenAPI form is read too.
func TestMCPDefinitionInOpenAPIForm(t *testing.T) {
	p := startRig(t)
	for _, copied := range []bool{false, true} {
		o := openAPI(t)
		if copied {
			o.GetTykExtension().Middleware.Global.TransformRequestHeaders = &oas.TransformHeaders{Enabled: true, Remove: []string{"Txn-Token"}}
		}
		r := keyCall().request()
		useOpenAPI(r, o)
		setContextValue(r, ctx.UrlRewriteTarget, &url.URL{Scheme: "tyk", Host: "self", Path: "/json-rpc-method:initialize"})
		rw := httptest.NewRecorder()
		if SignIdentity(rw, r); rw.Body.Len() == 0 {
			GuardUpstream(rw, r)
		}
		if copied {
			requireDenied(t, p, r, rw, 500, decision.ConfigInvalid)
		} else {
			requireSigned(t, p, r, rw)
		}
	}
}
