package gateway_test

import (
	"net/http"
	"strings"
	"testing"
)

// way is a request that does not take the usual way through the gateway.
type way struct {
	name   string // and id of the API
	api    string // what is particular about the API
	second string // a second API, SELF-2, in the same words; "": there is none
	call   call   // its path comes below /ID
	tyk    answer // Tyk alone: the API without our plugin
	ours   answer
}

const (
	openPath = `"version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true,
		"extended_paths": {"ignored": [{"path": "/open", "method_actions": {"GET": {"action": "no_action", "code": 200}}}]}}}}`
	toSecond = `{"strip_auth_data": false, "version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true,
		"extended_paths": {"url_rewrites": [{"path": "/loop", "method": "GET", "match_pattern": "/loop", "rewrite_to": "tyk://SELF-2/x"}]}}}}}`
	stripped = `{"version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true,
		"extended_paths": {"url_rewrites": [{"path": "/loop", "method": "GET", "match_pattern": "/loop", "rewrite_to": "tyk://SELF-2/x"}]}}}}}`
	toItself = `{"version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true,
		"extended_paths": {"url_rewrites": [{"path": "/loop", "method": "GET", "match_pattern": "/loop", "rewrite_to": "tyk://self/x"}]}}}}}`
	versions = `{"definition": {"location": "header", "key": "x-version"}, "version_data": {"not_versioned": false,
		"versions": {"Default": null, "v1": {"name": "v1"}, "v2": {"name": "v2", "override_target": "UPSTREAM/v2"}}}}`
	foreignVersion = `{"definition": {"location": "header", "key": "x-version"}, "version_data": {"not_versioned": false,
		"versions": {"Default": null, "v1": {"name": "v1"}, "v2": {"name": "v2", "override_target": "FOREIGN/v2"}}}}`
	children = `{"definition": {"enabled": true, "name": "v1", "default": "self", "location": "header", "key": "x-version", "versions": {"v2": "SELF-2"}}}`
	noHooks  = `{"custom_middleware": null}`
	keyless  = `{"use_keyless": true, "use_standard_auth": false}`
)

var v2 = http.Header{"X-Version": {"v2"}}

var ways = []way{
	{"usual", `{}`, "", call{path: "/", as: "key"},
		answer{200, "", theirs}, answer{200, "", signed}},
	{"refused", `{}`, "", call{path: "/"},
		answer{401, "Authorization field missing", unreached}, answer{401, "Authorization field missing", unreached}},
	{"ignored", `{` + openPath + `}`, "", call{path: "/open"},
		answer{200, "", theirs}, answer{401, "no_session", unreached}},
	{"optional", `{"config_data": {"meshpass": {"identity": "optional"}}, ` + openPath + `}`, "", call{path: "/open"},
		answer{200, "", theirs}, answer{200, "", none}},
	{"keyless", keyless, "", call{path: "/"},
		answer{200, "", theirs}, answer{200, "", none}},
	{"options", `{"CORS": {"enable": true, "options_passthrough": true}}`, "", call{method: http.MethodOptions, path: "/"},
		answer{200, "", theirs}, answer{200, "", theirs}},
	{"options-without-cors", `{"CORS": {"enable": false, "options_passthrough": true}}`, "", call{method: http.MethodOptions, path: "/"},
		answer{200, "", theirs}, answer{200, "", theirs}},
	{"version", versions, "", call{path: "/", as: "key", header: v2},
		answer{200, "", theirs}, answer{200, "", signed}},
	{"child-version", children, `{}`, call{path: "/", as: "key", header: v2},
		answer{200, "", theirs}, answer{200, "", second}},
	{"child-version-without-hooks", children, noHooks, call{path: "/", as: "key", header: v2},
		answer{200, "", theirs}, answer{200, "", theirs}},
	{"loop-to-itself", toItself, "", call{path: "/loop", as: "key"},
		answer{200, "", theirs}, answer{200, "", signed}},
	{"loop", toSecond, `{}`, call{path: "/loop", as: "key"},
		answer{200, "", theirs}, answer{200, "", second}},
	{"loop-stripped", stripped, `{}`, call{path: "/loop", as: "key"},
		answer{401, "Authorization field missing", unreached}, answer{401, "Authorization field missing", unreached}},
	{"loop-to-keyless", toSecond, keyless, call{path: "/loop", as: "key"},
		answer{200, "", theirs}, answer{200, "", none}},
	{"loop-to-no-hooks", toSecond, noHooks, call{path: "/loop", as: "key"},
		answer{200, "", theirs}, answer{200, "", none}},
	{"rewritten", rewrittenTo("UPSTREAM/x"), "", call{path: "/to", as: "key"},
		answer{200, "", theirs}, answer{200, "", signed}},
	{"rewritten-to-foreign", rewrittenTo("FOREIGN/x"), "", call{path: "/to", as: "key"},
		answer{200, "", theirs}, answer{500, "upstream_refused", unreached}},
	{"rewritten-by-client", rewrittenTo("http://$1/x"), "", call{path: "/to/HOSTPORT", as: "key"},
		answer{200, "", theirs}, answer{500, "upstream_refused", unreached}},
	{"foreign-version", foreignVersion, "", call{path: "/", as: "key", header: v2},
		answer{200, "", theirs}, answer{500, "upstream_refused", unreached}},
	{"foreign-in-list", `{"proxy": {"enable_load_balancing": true, "target_list": ["FOREIGN", "FOREIGN"]}}`, "", call{path: "/", as: "key"},
		answer{200, "", theirs}, answer{500, "upstream_refused", unreached}},
	{"foreign-host-header", `{"proxy": {"preserve_host_header": true}}`, "", call{path: "/", as: "key", host: "evil.example.com"},
		answer{200, "", theirs}, answer{500, "upstream_refused", unreached}},
	{"internal-header", `{"proxy": {"preserve_host_header": true}}`, noHooks, call{path: "/", as: "key", host: "SELF-2", header: http.Header{"X-Tyk-Internal": {"1"}}},
		answer{500, "There was a problem proxying the request", unreached}, answer{500, "There was a problem proxying the request", unreached}},
	{"no-guard", `{"custom_middleware": {"post": []}}`, "", call{path: "/", as: "key"},
		answer{200, "", theirs}, answer{500, "guard_missing", unreached}},
}

func rewrittenTo(target string) string {
	return `{"version_data": {"versions": {"Default": {"name": "Default", "use_extended_paths": true, "extended_paths": {"url_rewrites": [
		{"path": "/to", "method": "GET", "match_pattern": "/to/?(.*)", "rewrite_to": "` + target + `"}]}}}}}`
}

func TestWays(t *testing.T) {
	var apis []definition
	for _, w := range ways {
		apis = append(apis, w.definitions()...)
	}
	r := start(t, setup{apis: apis}).serving(t)
	for _, w := range ways {
		for suffix, want := range map[string]answer{"-tyk": w.tyk, "-ours": w.ours} {
			t.Run(w.name+suffix, func(t *testing.T) {
				c := w.call
				c.path = "/" + w.name + suffix + r.fill(c.path)
				c.host = strings.ReplaceAll(c.host, "SELF", w.name+suffix)
				if got := r.send(t, c); got.answer != want {
					t.Errorf("got %+v, want %+v\n%s", got.answer, want, got.body)
				}
			})
		}
	}
}

// definitions are those of the way with our plugin, and without it.
func (w way) definitions() []definition {
	all := []definition{{w.name + "-ours", w.api, false}, {w.name + "-tyk", w.api, true}}
	if w.second != "" {
		all = append(all, definition{w.name + "-ours-2", w.second, false}, definition{w.name + "-tyk-2", w.second, true})
	}
	return all
}
