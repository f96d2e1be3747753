package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

// fencedFile is a block of a page with the name of a file as its title.
var fencedFile = regexp.MustCompile("(?ms)^```[a-z]+ title=\"([a-z0-9._-]+)\"\n(.*?)^```$")

// readPageFiles gives the named blocks of a page.
func readPageFiles(t *testing.T, page string) map[string]string {
	t.Helper()
	root, err := repo.Root()
	must(t, err)
	text, err := os.ReadFile(filepath.Join(root, page))
	must(t, err)
	files := map[string]string{}
	for _, match := range fencedFile.FindAllStringSubmatch(string(text), -1) {
		files[match[1]] = match[2]
	}
	return files
}

// pageTarget is the upstream of the definitions on pages, which a test replaces with its own.
const pageTarget = "http://orders.shop.svc.cluster.local:8080/"

// addPageAPIs writes the two classic definitions of a page among the gateway's own, and lets the key of the rig call orders.
func (r *rig) addPageAPIs(t *testing.T, page map[string]string) {
	t.Helper()
	for _, name := range []string{"orders.json", "canary.json"} {
		if page[name] == "" {
			t.Fatalf("the page has no %s", name)
		}
		r.write(t, filepath.Join("apis", name+".page.json"), strings.ReplaceAll(page[name], pageTarget, r.upstream.url))
	}
	policies := readJSON(t, r.path("policies.json"))
	rights := policies["all"].(map[string]any)["access_rights"].(map[string]any)
	rights["orders"] = map[string]any{"api_id": "orders", "api_name": "Orders", "versions": []string{"Default"}}
	r.writeJSON(t, "policies.json", policies)
}

// checkPageAPIs wants signed requests for both forms of orders, and a canary that is ready.
func (r *rig) checkPageAPIs(t *testing.T, page map[string]string) {
	t.Helper()
	if got, want := r.send(t, call{path: "/orders/", as: "key"}).answer, (answer{200, "", signed}); got != want {
		t.Errorf("orders.json: got %+v, want %+v", got, want)
	}
	if got, want := r.send(t, call{path: "/meshpass-canary/"}).answer, (answer{200, "ready", unreached}); got != want {
		t.Errorf("canary.json: got %+v, want %+v", got, want)
	}
	r.control200(t, http.MethodPost, "/tyk/apis/oas", strings.ReplaceAll(page["orders-oas.json"], pageTarget, r.upstream.url))
	if got, want := r.callOpenAPI(t, "orders-open"), (answer{200, "", signed}); got != want {
		t.Errorf("orders-oas.json: got %+v, want %+v", got, want)
	}
}

// callOpenAPI reloads the gateway, and sends a request to an API that was added by the control API.
func (r *rig) callOpenAPI(t *testing.T, id string) (got answer) {
	t.Helper()
	r.control200(t, http.MethodGet, "/tyk/reload/group?block=true", "")
	key := r.create(t, "/tyk/keys/create", fmt.Sprintf(`{"apply_policies": [], "meta_data": {"developer_id": "partner-7"},
		"access_rights": {%q: {"api_id": %[1]q, "api_name": %[1]q, "versions": ["Default"]}}}`, id))["key"].(string)
	r.await(t, func(context.Context) error {
		if got = r.send(t, call{path: "/" + id + "/", header: http.Header{"Authorization": {key}}}).answer; got.status == http.StatusNotFound {
			return errors.New("not loaded")
		}
		return nil
	})
	return got
}

// TestTykPage loads the definitions of docs/tyk.md, as they are there, into a gateway, and checks the other files of the page.
func TestTykPage(t *testing.T) {
	page := readPageFiles(t, "docs/tyk.md")
	r := start(t, setup{first: func(r *rig) { r.addPageAPIs(t, page) }}).serving(t)
	r.checkPageAPIs(t, page)

	for name, apis := range map[string]int{"orders.json": 1, "orders-oas.json": 1, "canary.json": 1, "operator-classic.yaml": 2} {
		file := filepath.Join(t.TempDir(), name)
		must(t, os.WriteFile(file, []byte(page[name]), 0o600))
		code, stdout, stderr := runMeshpass(t, "tyk", "hooks", "--check", file)
		if code != 0 || strings.Count(stdout, ": complete") != apis {
			t.Errorf("%s: exit code %d, want 0 and %d complete definitions\n%s%s", name, code, apis, stdout, stderr)
		}
	}
	if unit := page["meshpass.conf"]; !regexp.MustCompile(`(?m)^\[Service\]\nWorkingDirectory=/opt/tyk-gateway\nEnvironment=MESHPASS_CONFIG=/etc/meshpass/plugin\.yaml$`).MatchString(unit) {
		t.Errorf("the drop-in is\n%s", unit)
	}
}
