package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hookLists gives an API's custom_middleware: the hooks of pre, post_key_auth and post, with spaces between names.
func hookLists(driver, pre, postAuth, post string) string {
	list := func(names string) string {
		var all []string
		for _, name := range strings.Fields(names) {
			all = append(all, fmt.Sprintf(`{"name": %q, "path": "plugins/identity.so"}`, name))
		}
		return "[" + strings.Join(all, ", ") + "]"
	}
	return fmt.Sprintf(`"custom_middleware": {"driver": %s, "pre": %s, "post_key_auth": %s, "post": %s}`, driver, list(pre), list(postAuth), list(post))
}

// unguarded are definitions that do not list the hooks as they must be, and forms that are fine.
var unguarded = []struct {
	id, api string
	want    answer
	cause   string // of the metric and the log; "": the definition is fine
	log     string // of the definition's file
}{
	{"driver-missing", hookLists(`null`, "StripIdentity", "SignIdentity", "GuardUpstream"),
		answer{200, "", theirs}, "not_run", `custom_middleware.driver is \"\"`},
	{"driver-mistyped", hookLists(`"goplugins"`, "StripIdentity", "SignIdentity", "GuardUpstream"),
		answer{200, "", theirs}, "not_run", `custom_middleware.driver is \"goplugins\"`},
	{"driver-otto", hookLists(`"otto"`, "StripIdentity", "", "GuardUpstream"),
		answer{500, "Middleware error", unreached}, "not_run", `custom_middleware.driver is \"otto\"`},
	{"no-hooks", `"custom_middleware": null`,
		answer{200, "", theirs}, "no_hooks", "it has no hook of this plugin"},
	{"keyless-only-sign", `"use_keyless": true, "use_standard_auth": false, ` + hookLists(`"goplugin"`, "", "SignIdentity", ""),
		answer{200, "", theirs}, "strip_missing", "the API is keyless"},
	{"sign-missing", hookLists(`"goplugin"`, "StripIdentity", "", "GuardUpstream"),
		answer{500, "config_invalid", unreached}, "sign_missing", "does not list SignIdentity"},
	{"only-strip", hookLists(`"goplugin"`, "StripIdentity", "", ""),
		answer{500, "config_invalid", unreached}, "sign_missing", "does not list SignIdentity"},
	{"only-guard", hookLists(`"goplugin"`, "", "", "GuardUpstream"),
		answer{500, "config_invalid", unreached}, "sign_missing", "does not list SignIdentity"},
	{"only-sign", hookLists(`"goplugin"`, "", "SignIdentity", ""),
		answer{500, "guard_missing", unreached}, "guard_missing", "the last hook must be GuardUpstream"},
	{"sign-in-pre", hookLists(`"goplugin"`, "StripIdentity SignIdentity", "", "GuardUpstream"),
		answer{500, "config_invalid", unreached}, "hook_list", "custom_middleware.pre lists SignIdentity, which works in custom_middleware.post_key_auth only"},
	{"sign-in-post", hookLists(`"goplugin"`, "StripIdentity", "", "SignIdentity GuardUpstream"),
		answer{500, "config_invalid", unreached}, "hook_list", "custom_middleware.post lists SignIdentity"},
	{"guard-after-sign", hookLists(`"goplugin"`, "StripIdentity", "SignIdentity GuardUpstream", "GuardUpstream"),
		answer{500, "config_invalid", unreached}, "hook_list", "custom_middleware.post_key_auth lists GuardUpstream"},
	{"guard-twice", hookLists(`"goplugin"`, "StripIdentity", "SignIdentity", "GuardUpstream GuardUpstream"),
		answer{500, "config_invalid", unreached}, "hook_list", "lists GuardUpstream twice"},
	{"sign-without-path", `"custom_middleware": {"post_key_auth": [{"name": "SignIdentity", "path": ""}]}`,
		answer{500, "config_invalid", unreached}, "hook_list", "custom_middleware.post_key_auth lists SignIdentity without a path"},
	{"keyless-strip-without-path", `"use_keyless": true, "use_standard_auth": false, "custom_middleware": {"driver": "goplugin", "pre": [{"name": "StripIdentity", "path": ""}], "post_key_auth": [], "post": []}`,
		answer{200, "", theirs}, "hook_list", "custom_middleware.pre lists StripIdentity without a path"},
	{"passes-options", `"CORS": {"enable": true, "options_passthrough": true}`,
		answer{200, "", signed}, "options", "options_passthrough"},
	{"all-three", hookLists(`"goplugin"`, "StripIdentity", "SignIdentity", "GuardUpstream"),
		answer{200, "", signed}, "", ""},
	{"keyless-only-strip", `"use_keyless": true, "use_standard_auth": false, ` + hookLists(`"goplugin"`, "StripIdentity", "", ""),
		answer{200, "", none}, "", ""},
	{"foreign-only-strip", `"proxy": {"target_url": "FOREIGN"}, ` + hookLists(`"goplugin"`, "StripIdentity", "", ""),
		answer{200, "", none}, "", ""},
	{"foreign-no-hooks", `"proxy": {"target_url": "FOREIGN"}, "custom_middleware": null`,
		answer{200, "", theirs}, "", ""},
}

// TestUnguardedAPIs: a definition whose hooks would not protect the API is refused by the hooks that run, and is reported
// by the log, the metrics and the canary where none does.
func TestUnguardedAPIs(t *testing.T) {
	apis := []definition{probedAPI}
	for _, u := range unguarded {
		apis = append(apis, definition{id: u.id, json: `{` + u.api + `}`})
	}
	r := start(t, setup{bare: true, apis: apis})
	gateway, err := url.Parse(r.url)
	must(t, err)
	address := net.JoinHostPort(gateway.Hostname(), "9092")
	r.writePlugin(t)
	r.write(t, "identity.yaml", fmt.Sprintf("metrics: %q\n", address)+r.fill(strings.TrimSpace(pluginConfig)))
	r.serving(t)
	r.await(t, func(context.Context) error { return r.logged("ready to sign") })

	counts := map[string]int{}
	for _, u := range unguarded {
		if u.cause != "" {
			counts[u.cause]++
		}
	}
	r.await(t, func(context.Context) error { return r.reports(address, counts, 0) })
	if got := r.send(t, call{path: "/" + probed + "/"}); got.answer != (answer{503, "config_invalid", unreached}) {
		t.Errorf("canary: got %+v", got.answer)
	}
	log, err := os.ReadFile(r.path("tyk.log"))
	must(t, err)
	for _, u := range unguarded {
		t.Run(u.id, func(t *testing.T) {
			if got := r.send(t, call{path: "/" + u.id + "/", as: "key", header: http.Header{"X-Meshpass-User": {"root"}}}); got.answer != u.want {
				t.Errorf("got %+v, want %+v\n%s", got.answer, u.want, got.body)
			}
			lines := 0
			for line := range strings.Lines(string(log)) {
				if !strings.Contains(line, "apis/"+u.id+".json") || !strings.Contains(line, "cause") {
					continue
				}
				lines++
				if said := strings.ReplaceAll(line, `\\`, `\`); !strings.Contains(said, `"cause":"`+u.cause+`"`) || !strings.Contains(said, u.log) {
					t.Errorf("want cause %s and %q:\n%s", u.cause, u.log, line)
				}
			}
			// Before the plugin's file was there, no upstreams were known.
			if (u.cause == "") != (lines == 0) {
				t.Errorf("%d lines in the log", lines)
			}
		})
	}
	for _, u := range unguarded {
		if u.cause != "" && u.cause != "no_hooks" && u.cause != "options" {
			must(t, os.Remove(filepath.Join(r.path("apis"), u.id+".json")))
		}
	}
	r.await(t, func(context.Context) error {
		return r.reports(address, map[string]int{"no_hooks": counts["no_hooks"], "options": counts["options"]}, 1)
	})
	if got := r.send(t, call{path: "/" + probed + "/"}); got.answer != (answer{200, "ready", unreached}) {
		t.Errorf("canary after the correction: got %+v", got.answer)
	}
}

// reports is a condition: the gauge has these counts, and no others.
func (r *rig) reports(address string, counts map[string]int, ready int) error {
	text, err := scrape(address)
	if err != nil {
		return err
	}
	got := samples(text)
	for _, cause := range []string{"not_run", "hook_list", "sign_missing", "guard_missing", "strip_missing", "oas_pair", "no_hooks", "options", "not_read"} {
		name := fmt.Sprintf(`meshpass_edge_unguarded_apis{cause=%q}`, cause)
		if value, ok := got[name]; !ok || value != counts[cause] {
			return fmt.Errorf("%s is %d, want %d", name, value, counts[cause])
		}
	}
	if got["meshpass_edge_ready"] != ready || got["meshpass_edge_definitions_visible"] != 1 {
		return fmt.Errorf("ready %d, want %d; visible %d", got["meshpass_edge_ready"], ready, got["meshpass_edge_definitions_visible"])
	}
	return nil
}
