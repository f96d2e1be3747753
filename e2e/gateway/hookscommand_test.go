package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
)

// runHooksCommand runs meshpass tyk hooks. An exit code other than 0 is an error.
func runHooksCommand(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	program, err := repo.Bin("meshpass", "build")
	must(t, err)
	cmd := exec.CommandContext(t.Context(), program, append([]string{"tyk", "hooks"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	return stdout.String()
}

// TestHooksCommand: the gateway signs for definitions to which `meshpass tyk hooks` has added the hooks, in both forms. Without them
// it passes on what the client sends.
func TestHooksCommand(t *testing.T) {
	r := start(t, setup{apis: []definition{{id: "before", json: "{}", alone: true}, {id: "after", json: "{}", alone: true}}, first: func(r *rig) {
		runHooksCommand(t, "", "--write", filepath.Join(r.path("apis"), "after.json"))
	}}).serving(t)
	for id, want := range map[string]answer{"before": {200, "", theirs}, "after": {200, "", signed}} {
		if got := r.send(t, call{path: "/" + id + "/", as: "key"}); got.answer != want {
			t.Errorf("%s: got %+v, want %+v\n%s", id, got.answer, want, got.body)
		}
	}

	from, to := strings.Index(openAPI, `, "pluginConfig"`), strings.LastIndex(openAPI, `}}}}`)
	without := openAPI[:from] + openAPI[to:]
	rights := []string{}
	rows := []struct {
		id, document string
		want         answer
	}{
		{"oas-before", without, answer{200, "", theirs}},
		{"oas-after", runHooksCommand(t, without, "-"), answer{200, "", signed}},
	}
	for _, row := range rows {
		r.control200(t, http.MethodPost, "/tyk/apis/oas", r.fill(strings.ReplaceAll(row.document, "SELF", row.id)))
		rights = append(rights, fmt.Sprintf(`%q: {"api_id": %[1]q, "api_name": %[1]q, "versions": ["Default"]}`, row.id))
	}
	r.control200(t, http.MethodGet, "/tyk/reload/group?block=true", "")
	key := r.create(t, "/tyk/keys/create", `{"apply_policies": [], "meta_data": {"developer_id": "partner-7"}, "access_rights": {`+strings.Join(rights, ",")+`}}`)["key"].(string)
	for _, row := range rows {
		r.await(t, func(context.Context) error {
			got := r.send(t, call{path: "/" + row.id + "/", header: http.Header{"Authorization": {key}}})
			if got.status == http.StatusNotFound {
				return fmt.Errorf("not loaded: %s", got.body)
			}
			if got.answer != row.want {
				t.Errorf("%s: got %+v, want %+v\n%s", row.id, got.answer, row.want, got.body)
			}
			return nil
		})
	}
	if log, err := os.ReadFile(r.path("tyk.log")); err != nil || strings.Contains(string(log), "hook_list") {
		t.Errorf("%v, the plugin reports a definition", err)
	}
}
