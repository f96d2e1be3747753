package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/repo"
)

// What Tyk makes of a plugin that it cannot run. Ours recovers its own panics, in a request and while
// it loads its files, and answers; these plugins do not.
var broken = []struct {
	name, hooks string
	want        answer
}{
	{"no-file", hooks("missing", "pre", "post_key_auth"), answer{500, "Internal Server Error", unreached}},
	{"panic-in-request", hooks("callpanic", "post_key_auth"), answer{200, "", unreached}},
	{"panic-while-loading", hooks("loadpanic", "post_key_auth"), answer{500, "Internal Server Error", unreached}},
	{"canary-no-file", shippedCanary("missing"), answer{500, "Internal Server Error", unreached}},
	{"canary-other-plugin", shippedCanary("callpanic"), answer{500, "Internal Server Error", unreached}},
}

// shippedCanary is what makes an API a canary, with another plugin.
func shippedCanary(plugin string) string {
	return fmt.Sprintf(`{"use_keyless": true, "custom_middleware": {"driver": "goplugin", "post_key_auth": null, "post": null,
		"pre": [{"name": "Canary", "path": "plugins/%s.so"}]}}`, plugin)
}

func TestBrokenPlugins(t *testing.T) {
	built(t, "callpanic")
	built(t, "loadpanic")
	var apis []definition
	for _, b := range broken {
		apis = append(apis, definition{id: b.name, json: b.hooks})
	}
	r := start(t, setup{apis: apis}).serving(t)
	for _, b := range broken {
		t.Run(b.name, func(t *testing.T) {
			if got := r.send(t, call{path: "/" + b.name + "/", as: "key"}); got.answer != b.want {
				t.Errorf("got %+v, want %+v", got.answer, b.want)
			}
		})
	}
}

// built makes sure that a test plugin is there: Tyk would answer as if it were ours that is missing.
func built(t *testing.T, plugin string) {
	t.Helper()
	bin, err := repo.BinDir()
	must(t, err)
	if files, err := filepath.Glob(filepath.Join(bin, "plugins", plugin+"_*.so")); err != nil || len(files) == 0 {
		t.Fatalf("plugins/%s_*.so is not built: run make test-programs (%v)", plugin, err)
	}
}

// hooks is an API's custom_middleware with a test plugin on some hooks.
func hooks(plugin string, names ...string) string {
	middleware := `"driver": "goplugin", "pre": [], "post_key_auth": []`
	for _, name := range names {
		middleware += fmt.Sprintf(`, %q: [{"name": "Hook", "path": "plugins/%s.so"}]`, name, plugin)
	}
	return `{"custom_middleware": {` + middleware + `}}`
}

// Go never finishes opening a plugin whose init has panicked, and Tyk opens it once for each hook:
// the second time it waits for ever, and serves no API at all.
func TestPanicWhileLoadingForTwoHooks(t *testing.T) {
	built(t, "loadpanic")
	r := start(t, setup{apis: []definition{{id: "hung", json: hooks("loadpanic", "pre", "post_key_auth")}, probedAPI}})
	r.await(t, func(context.Context) error { return r.logged("Recovered from panic while loading Go-plugin") })
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := r.tyk.AwaitReady(ctx, r.serves); err == nil {
		t.Error("APIs are served: Tyk, or Go, has changed")
	}
	if got, _, err := r.ask(t.Context(), r.url, http.MethodGet, "/"+probed+"/", ""); err != nil || got != http.StatusNotFound {
		t.Errorf("the canary answers %d, %v: want 404", got, err)
	}
}

// A file that a copy has cut off is mapped by the loader beyond its end: the gateway is killed, with all its APIs. One
// without even a header is refused.
func TestTruncatedPlugin(t *testing.T) {
	built(t, "noop")
	bin, err := repo.BinDir()
	must(t, err)
	files, err := filepath.Glob(filepath.Join(bin, "plugins", "noop_*.so"))
	must(t, err)
	whole, err := os.ReadFile(files[0])
	must(t, err)
	truncated := func(bytes int) *rig {
		name := filepath.Base(files[0])
		json := strings.ReplaceAll(hooks("noop", "post_key_auth"), "plugins/", "")
		return start(t, setup{apis: []definition{{id: "truncated", json: json}}, files: map[string]string{name: string(whole[:bytes])}})
	}
	for _, bytes := range []int{0, 16} {
		r := truncated(bytes).serving(t)
		if got := r.send(t, call{path: "/truncated/", as: "key"}); got.answer != (answer{500, "Internal Server Error", unreached}) {
			t.Errorf("%d bytes: got %+v", bytes, got.answer)
		}
	}
	r := truncated(len(whole) / 2)
	select {
	case <-r.tyk.Done():
		must(t, r.logged("SIGBUS: bus error"))
	case <-time.After(time.Minute):
		t.Error("the gateway goes on")
	}
}
