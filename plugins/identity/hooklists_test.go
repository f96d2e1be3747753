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

// lists gives the hooks of an API: pre, post_key_auth and post, each with spaces between names.
func lists(pre, postAuth, post string) func(*call) {
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

// chain calls the hooks that the definition lists, in Tyk's order. Nobody has a session in pre.
func (c *call) chain(t *testing.T) (*http.Request, *httptest.ResponseRecorder) {
	t.Helper()
	r := c.request()
	r.Header.Set(identity.Header, "forged")
	session := r.Context().Value(ctx.SessionData)
	set(r, ctx.SessionData, nil)
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
		set(r, ctx.SessionData, session)
		call(c.api.CustomMiddleware.PostKeyAuth)
	}
	call(c.api.CustomMiddleware.Post)
	return r, rw
}

// A request of an API whose hooks are not as they must be is refused by whichever of them runs.
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
			paths(c, apidef.ExtendedPathsSet{GoPlugin: []apidef.GoPluginMeta{{Path: "/x", SymbolName: hook}}})
		}
	}
	const signs, passes, invalid = decision.Issued, decision.Anonymous, decision.ConfigInvalid
	rows := []struct {
		name   string
		change func(*call)
		reason decision.Reason // of a 500; Issued: signed; Anonymous: passed on without a token
		log    string
	}{
		{"all three", lists(strip, sign, guard), signs, ""},
		{"without StripIdentity", lists("", sign, guard), signs, ""},
		{"only StripIdentity and GuardUpstream", lists(strip, "", guard), invalid, "post_key_auth does not list SignIdentity"},
		{"SignIdentity disabled", both(lists(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.PostKeyAuth[0].Disabled = true }), invalid, "does not list SignIdentity"},
		{"only StripIdentity", lists(strip, "", ""), invalid, "does not list SignIdentity"},
		{"only GuardUpstream", lists("", "", guard), invalid, "does not list SignIdentity"},
		{"only SignIdentity", lists("", sign, ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"SignIdentity in pre", lists(strip+" "+sign, "", guard), invalid, "custom_middleware.pre lists SignIdentity, which works in custom_middleware.post_key_auth only"},
		{"SignIdentity in pre, and nothing else", lists(sign, "", ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"SignIdentity in pre too", lists(sign+" "+strip, sign, guard), invalid, "custom_middleware.pre lists SignIdentity"},
		{"SignIdentity in post", lists(strip, "", sign+" "+guard), invalid, "custom_middleware.post lists SignIdentity"},
		{"SignIdentity twice", lists(strip, sign+" "+sign, guard), invalid, "lists SignIdentity twice"},
		{"GuardUpstream in pre too", lists(strip+" "+guard, sign, guard), invalid, "custom_middleware.pre lists GuardUpstream"},
		{"GuardUpstream in post_key_auth", lists(strip, sign+" "+guard, ""), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"GuardUpstream in post_key_auth too", lists(strip, sign+" "+guard, guard), invalid, "custom_middleware.post_key_auth lists GuardUpstream"},
		{"GuardUpstream twice", lists(strip, sign, guard+" "+guard), invalid, "lists GuardUpstream twice"},
		{"StripIdentity in post", lists("", sign, strip+" "+guard), invalid, "custom_middleware.post lists StripIdentity"},
		{"all in pre", lists(strip+" "+sign+" "+guard, "", ""), invalid, "custom_middleware.pre lists SignIdentity"},
		{"StripIdentity last", lists("", sign, guard+" "+strip), decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"for an endpoint, SignIdentity", both(lists(strip, "", guard), endpoint(sign)), invalid, "extended_paths.go_plugin lists SignIdentity"},
		{"for an endpoint, GuardUpstream too", both(lists(strip, sign, guard), endpoint(guard)), invalid, "extended_paths.go_plugin lists GuardUpstream"},
		{"in auth_check", both(lists(strip, "", guard), func(c *call) { c.api.CustomMiddleware.AuthCheck.Name = sign }), invalid, "custom_middleware.auth_check lists SignIdentity"},

		{"StripIdentity without a path", both(lists(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.Pre[0].Path = "" }), invalid, "custom_middleware.pre lists StripIdentity without a path"},
		{"SignIdentity without a path", both(lists(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.PostKeyAuth[0].Path = "" }), invalid, "lists SignIdentity without a path"},
		{"GuardUpstream without a path", both(lists(strip, sign, guard), func(c *call) { c.api.CustomMiddleware.Post[0].Path = "" }), invalid, "lists GuardUpstream without a path"},
		{"SignIdentity and GuardUpstream without a path", both(lists(strip, sign, guard), func(c *call) {
			c.api.CustomMiddleware.PostKeyAuth[0].Path, c.api.CustomMiddleware.Post[0].Path = "", ""
		}), invalid, "lists SignIdentity without a path"},
		{"a disabled one without a path", both(lists(strip+" "+strip, sign, guard), func(c *call) {
			c.api.CustomMiddleware.Pre[0].Path, c.api.CustomMiddleware.Pre[0].Disabled = "", true
		}), signs, ""},

		{"only StripIdentity, to another host", both(lists(strip, "", ""), foreignTarget), passes, ""},
		{"only StripIdentity, to an API of the gateway", both(lists(strip, "", ""), func(c *call) { c.api.Proxy.TargetURL = "tyk://other" }), passes, ""},
		{"only StripIdentity, rewritten to a host of ours", both(lists(strip, "", ""), foreignTarget, func(c *call) {
			paths(c, apidef.ExtendedPathsSet{URLRewrite: []apidef.URLRewriteMeta{{Path: "/x", RewriteTo: inMesh}}})
		}), invalid, "does not list SignIdentity"},
		{"only StripIdentity, a version to a host of ours", both(lists(strip, "", ""), foreignTarget, func(c *call) {
			c.api.VersionData.Versions = map[string]apidef.VersionInfo{"v1": {OverrideTarget: inMesh}}
		}), invalid, "does not list SignIdentity"},
		{"no SignIdentity where identity is optional", both(lists(strip, "", guard), optional), passes, ""},
		{"optional, but not admitted", both(lists(strip, "", guard), optional, func(c *call) { c.api.APIID = "other" }), invalid, "does not list SignIdentity"},
		{"admitted, but not optional", both(lists(strip, "", guard), func(c *call) { c.api.APIID = "open-api" }), invalid, "does not list SignIdentity"},
		{"keyless", both(lists(strip, sign, guard), keyless), passes, ""},
		{"keyless, only StripIdentity", both(lists(strip, "", ""), keyless), passes, ""},
		{"keyless, only GuardUpstream", both(lists("", "", guard), keyless), passes, ""},
		{"by certificate, without GuardUpstream", both(lists(strip, sign, ""), keyless, func(c *call) { c.api.UseMutualTLSAuth = true }),
			decision.GuardMissing, "the last hook must be GuardUpstream"},
		{"a bundle", both(lists(strip, "", guard), func(c *call) { c.api.CustomMiddlewareBundle = "bundle.zip" }), passes, ""},
	}
	p := start(t)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := keyCall()
			row.change(c)
			p.log.Reset()
			for range 2 { // from what is remembered, the second time
				r, rw := c.chain(t)
				switch row.reason {
				case signs:
					signed(t, p, r, rw)
				case passes:
					unsigned(t, p, r, rw)
				default:
					refused(t, p, r, rw, 500, row.reason)
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

// The OpenAPI form of a definition is judged too.
func TestHooksOfOpenAPI(t *testing.T) {
	p := start(t)
	c := keyCall()
	lists(tykapi.StripHook, "", tykapi.GuardHook)(c)
	c.api.IsOAS = true
	var open oas.OAS
	open.SetTykExtension(&oas.XTykAPIGateway{})
	open.Fill(c.api)
	r := httptest.NewRequest(http.MethodGet, "/x", nil)
	r.Header.Set(identity.Header, "forged")
	set(r, ctx.OASDefinition, &open)
	refused(t, p, r, p.guard(r), 500, decision.ConfigInvalid)
}

// Without a definition, or with those of two APIs, nobody knows whether a request may go on unsigned.
func TestGuardWithoutDefinition(t *testing.T) {
	p := start(t)
	both := keyCall().request()
	set(both, ctx.OASDefinition, openAPI(t, func(*apidef.APIDefinition) {}))
	for name, r := range map[string]*http.Request{"none": httptest.NewRequest(http.MethodGet, "/x", nil), "two": both} {
		t.Run(name, func(t *testing.T) { refused(t, p, r, p.guard(r), 500, decision.ConfigInvalid) })
	}
}

// Without a configuration nobody knows whether an API forwards to hosts in upstreams.
func TestUnsignedWithoutConfiguration(t *testing.T) {
	p := start(t)
	p.write(t, "meshpass.yaml", "issuer: [")
	p.load(t)
	for name, row := range map[string]struct{ pre, post string }{"StripIdentity": {tykapi.StripHook, ""}, "GuardUpstream": {"", tykapi.GuardHook}} {
		t.Run(name, func(t *testing.T) {
			c := keyCall()
			lists(row.pre, "", row.post)(c)
			r, rw := c.chain(t)
			refused(t, p, r, rw, 503, decision.NotConfigured)
		})
	}
}
