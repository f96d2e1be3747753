package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// listHooks gives the hooks of an API: pre, post_key_auth and post, each with spaces between names.
func listHooks(pre, postAuth, post string) func(*call) {
	hooks := func(names string) (all []apidef.MiddlewareDefinition) {
		for _, name := range strings.Fields(names) {
			all = append(all, apidef.MiddlewareDefinition{Name: name, Path: "plugins/identity.so"})
		}
		return all
	}
	return func(c *call) {
		c.api.CustomMiddleware.Pre, c.api.CustomMiddleware.PostKeyAuth, c.api.CustomMiddleware.Post = hooks(pre), hooks(postAuth), hooks(post)
	}
}

// callListedHooks calls the hooks that the definition lists, in Tyk's order. There is no session in pre.
func (c *call) callListedHooks(t *testing.T) (*http.Request, *httptest.ResponseRecorder) {
	t.Helper()
	r := c.request()
	r.Header.Set(identity.Header, "forged")
	session := r.Context().Value(ctx.SessionData)
	setContextValue(r, ctx.SessionData, nil)
	rw := httptest.NewRecorder()
	call := func(hooks []apidef.MiddlewareDefinition) {
		for _, hook := range hooks {
			if !hook.Disabled && hook.Path != "" && rw.Body.Len() == 0 { // as Tyk does
				ctx.SetDefinition(r, &c.api) // as Tyk does before each hook
				map[string]http.HandlerFunc{tykapi.StripHook: StripIdentity, tykapi.SignHook: SignIdentity, tykapi.GuardHook: GuardUpstream}[hook.Name](rw, r)
			}
		}
	}
	call(c.api.CustomMiddleware.Pre)
	if !c.api.UseKeylessAccess {
		setContextValue(r, ctx.SessionData, session)
		call(c.api.CustomMiddleware.PostKeyAuth)
	}
	call(c.api.CustomMiddleware.Post)
	return r, rw
}

// A request of an API with wrong hooks is denied by the hook of ours that runs.
func TestHooksThatWouldNotSign(t *testing.T) {
	const strip, sign, guard = tykapi.StripHook, tykapi.SignHook, tykapi.GuardHook
	both := func(changes ...func(*call)) func(*call) {
		return func(c *call) {
			for _, change := range changes {
				change(c)
			}
		}
	}
	foreignTarget := func(c *call) { c.api.Proxy.TargetURL = foreign }
	keyless := func(c *call) { c.api.UseKeylessAccess, c.api.UseStandardAuth = true, false }
	optional := func(c *call) {
		c.api.APIID = "open-api"
		c.api.ConfigData = map[string]any{"meshpass": map[string]any{"identity": "optional"}}
	}
	endpoint := func(hook string) func(*call) {
		return func(c *call) {
			addPaths(c, apidef.ExtendedPathsSet{GoPlugin: []apidef.GoPluginMeta{{Path: "/x", SymbolName: hook}}})
		}
	}
	const signs, passes, invalid = decision.Issued, decision.Anonymous, decision.ConfigInvalid
	rows := []struct {
		name   string
		change func(*call)
		reason decision.Reason // of a 500; Issued: signed; Anonymous: passed on without a token
		log    string
	}{
		{"all three", listHooks(strip, sign, guard), signs, ""},
		{"without StripIdentity", listHooks("", sign, guard), signs, ""},
		{"only StripIdentity and GuardUpstream", listHooks(strip, "", guard), invalid, "post_key_auth does not list SignIdentity"},
		{"SignIdentity disabled", both(listHooks(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.PostKeyAuth[0].Disabled = true }), invalid, "does not list SignIdentity"},
		{"only StripIdentity", listHooks(strip, "", ""), invalid, "does not list SignIdentity"},
		{"only GuardUpstream", listHooks("", "", guard), invalid, "does not list SignIdentity"},
		{"only SignIdentity", listHooks("", sign, ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"SignIdentity in pre", listHooks(strip+" "+sign, "", guard), invalid, "custom_middleware.pre lists SignIdentity, which works in custom_middleware.post_key_auth only"},
		{"SignIdentity in pre, and nothing else", listHooks(sign, "", ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"SignIdentity in pre too", listHooks(sign+" "+strip, sign, guard), invalid, "custom_middleware.pre lists SignIdentity"},
		{"SignIdentity in post", listHooks(strip, "", sign+" "+guard), invalid, "custom_middleware.post lists SignIdentity"},
		{"SignIdentity twice", listHooks(strip, sign+" "+sign, guard), invalid, "lists SignIdentity twice"},
		{"GuardUpstream in pre too", listHooks(strip+" "+guard, sign, guard), invalid, "custom_middleware.pre lists GuardUpstream"},
		{"GuardUpstream in post_key_auth", listHooks(strip, sign+" "+guard, ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"GuardUpstream in post_key_auth too", listHooks(strip, sign+" "+guard, guard), invalid, "custom_middleware.post_key_auth lists GuardUpstream"},
		{"GuardUpstream twice", listHooks(strip, sign, guard+" "+guard), invalid, "lists GuardUpstream twice"},
		{"StripIdentity in post", listHooks("", sign, strip+" "+guard), invalid, "custom_middleware.post lists StripIdentity"},
		{"all in pre", listHooks(strip+" "+sign+" "+guard, "", ""), invalid, "custom_middleware.pre lists SignIdentity"},
		{"StripIdentity last", listHooks("", sign, guard+" "+strip), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"for an endpoint, SignIdentity", both(listHooks(strip, "", guard), endpoint(sign)), invalid, "extended_paths.go_plugin lists SignIdentity"},
		{"for an endpoint, GuardUpstream too", both(listHooks(strip, sign, guard), endpoint(guard)), invalid, "extended_paths.go_plugin lists GuardUpstream"},
		{"in auth_check", both(listHooks(strip, "", guard), func(c *call) { c.api.CustomMiddleware.AuthCheck.Name = sign }), invalid, "custom_middleware.auth_check lists SignIdentity"},

		{"StripIdentity without a path", both(listHooks(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.Pre[0].Path = "" }), invalid, "custom_middleware.pre lists StripIdentity without a path"},
		{"SignIdentity without a path", both(listHooks(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.PostKeyAuth[0].Path = "" }), invalid, "lists SignIdentity without a path"},
		{"GuardUpstream without a path", both(listHooks(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.Post[0].Path = "" }), invalid, "lists GuardUpstream without a path"},
		{"SignIdentity and GuardUpstream without a path", both(listHooks(strip, sign, guard), func(c *call) {
			c.api.CustomMiddleware.PostKeyAuth[0].Path, c.api.CustomMiddleware.Post[0].Path = "", ""
		}), invalid, "lists SignIdentity without a path"},
		{"a disabled one without a path", both(listHooks(strip+" "+strip, sign, guard), func(c *call) {
			c.api.CustomMiddleware.Pre[0].Path, c.api.CustomMiddleware.Pre[0].Disabled = "", true
		}), signs, ""},

		{"only StripIdentity, to another host", both(listHooks(strip, "", ""), foreignTarget), passes, ""},
		{"only StripIdentity, to an API of the gateway", both(listHooks(strip, "", ""), func(c *call) { c.api.Proxy.TargetURL = "tyk://other" }), passes, ""},
		{"only StripIdentity, rewritten to a host of ours", both(listHooks(strip, "", ""), foreignTarget, func(c *call) {
			addPaths(c, apidef.ExtendedPathsSet{URLRewrite: []apidef.URLRewriteMeta{{Path: "/x", RewriteTo: inMesh}}})
		}), invalid, "does not list SignIdentity"},
		{"only StripIdentity, a version to a host of ours", both(listHooks(strip, "", ""), foreignTarget, func(c *call) {
			c.api.VersionData.Versions = map[string]apidef.VersionInfo{"v1": {OverrideTarget: inMesh}}
		}), invalid, "does not list SignIdentity"},
		{"no SignIdentity where identity is optional", both(listHooks(strip, "", guard), optional), passes, ""},
		{"optional, but not admitted", both(listHooks(strip, "", guard), optional, func(c *call) { c.api.APIID = "other" }), invalid, "does not list SignIdentity"},
		{"admitted, but not optional", both(listHooks(strip, "", guard), func(c *call) { c.api.APIID = "open-api" }), invalid, "does not list SignIdentity"},
		{"keyless", both(listHooks(strip, sign, guard), keyless), passes, ""},
		{"keyless, only StripIdentity", both(listHooks(strip, "", ""), keyless), passes, ""},
		{"keyless, only GuardUpstream", both(listHooks("", "", guard), keyless), passes, ""},
		{"by certificate, without GuardUpstream", both(listHooks(strip, sign, ""), keyless, func(c *call) { c.api.UseMutualTLSAuth = true }),
			decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"a bundle", both(listHooks(strip, "", guard), func(c *call) { c.api.CustomMiddlewareBundle = "bundle.zip" }), invalid, "does not list SignIdentity"},
	}
	p := startRig(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			row.change(c)
			p.log.Reset()
			for range 2 { // from what is remembered, the second time
				r, rw := c.callListedHooks(t)
				switch row.reason {
				case signs:
					requireSigned(t, p, r, rw)
				case passes:
					requireUnsigned(t, p, r, rw)
				default:
					requireDenied(t, p, r, rw, 500, row.reason)
					if last := lastLine(p.audit.String()); !strings.Contains(last, `"reason":"`+string(row.reason)+`"`) || !strings.Contains(last, row.log) {
						t.Errorf("audit: %s", last)
					}
				}
			}
			if !strings.Contains(p.log.String(), row.log) || (row.log == "") != (p.log.Len() == 0) {
				t.Errorf("want %q in the log:\n%s", row.log, &p.log)
			}
		})
	}
}

// The OpenAPI form of a definition is checked too.
func TestHooksOfOpenAPI(t *testing.T) {
	p := startRig(t)
	c := keyCall()
	listHooks(tykapi.StripHook, "", tykapi.GuardHook)(c)
	c.api.IsOAS = true
	var open oas.OAS
	open.SetTykExtension(&oas.XTykAPIGateway{})
	open.Fill(c.api)
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set(identity.Header, "forged")
	setContextValue(r, ctx.OASDefinition, &open)
	requireDenied(t, p, r, p.callGuardOnly(r), 500, decision.ConfigInvalid)
}

// A definition in OpenAPI form does not show the lists of a bundle.
func TestHooksOfBundleInOpenAPI(t *testing.T) {
	p := startRig(t)
	c := keyCall()
	listHooks("", "", "")(c)
	c.api.IsOAS, c.api.CustomMiddlewareBundle = true, "bundle.zip"
	var open oas.OAS
	open.SetTykExtension(&oas.XTykAPIGateway{})
	open.Fill(c.api)
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set(identity.Header, "forged")
	setContextValue(r, ctx.OASDefinition, &open)
	requireUnsigned(t, p, r, p.callGuardOnly(r))
}

// Without a definition, or with those of two APIs, it is unknown whether a request may go on unsigned.
func TestGuardWithoutDefinition(t *testing.T) {
	p := startRig(t)
	both := keyCall().request()
	setContextValue(both, ctx.OASDefinition, openAPI(t, func(*apidef.APIDefinition) {}))
	for name, r := range map[string]*http.Request{"none": httptest.NewRequest(http.MethodGet, "/x", nil), "two": both} {
		t.Run(name, func(t *testing.T) { requireDenied(t, p, r, p.callGuardOnly(r), 500, decision.ConfigInvalid) })
	}
}

// Without a configuration it is unknown whether an API forwards to hosts in upstreams.
func TestUnsignedWithoutConfiguration(t *testing.T) {
	p := startRig(t)
	p.writeFile(t, "meshpass.yaml", "issuer: [")
	p.restart(t)
	for name, row := range map[string]struct{ pre, post string }{"StripIdentity": {tykapi.StripHook, ""}, "GuardUpstream": {"", tykapi.GuardHook}} {
		t.Run(name, func(t *testing.T) {
			c := keyCall()
			listHooks(row.pre, "", row.post)(c)
			r, rw := c.callListedHooks(t)
			requireDenied(t, p, r, rw, 503, decision.NotConfigured)
		})
	}
}
