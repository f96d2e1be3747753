package e2e_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/shared/audit"
)

// shadowed is a document in shadow, for the counter of decisions that were not given.
const shadowed = `apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: shadowed}
spec:
  mode: shadow
  targets: {workloads: [ns/shop/sa/orders]}
  rules:
    - {name: never, effect: deny, to: {methods: [GET]}}
`

// Every query of every dashboard returns data from a real Prometheus that has scraped the authorizer and the plugin while the
// tour's cases were played.
func TestDashboards(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Skip("NOT RUN: queries of the dashboards by Prometheus: needs prometheus")
	}
	mesh := start(t, localmesh.Options{Prepare: func(dir string) error {
		return errors.Join(os.WriteFile(filepath.Join(dir, "policies", "shadowed.yaml"), []byte(shadowed), 0o644), addChain(dir))
	}})
	at := startPrometheus(t, mesh, program)
	awaitQuery(t, at, `sum(up) == 2`)
	awaitQuery(t, at, `count(meshpass_audit_chain_last_checkpoint_timestamp_seconds > 0) == 2`) // of both programs
	playAll(t, mesh, tour...)
	for _, counter := range []string{"policy_denials", "token_missing", "shadow_decisions"} { // they begin with the first event
		awaitQuery(t, at, "rate(meshpass_"+counter+"_total[30s])")
	}
	root, err := repo.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "manifests", "components", "dashboards", "*.json"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%d dashboards, %v", len(files), err)
	}
	for _, file := range files {
		for title, exprs := range readQueries(t, file) {
			for _, expr := range exprs {
				expr = strings.NewReplacer("$__rate_interval", "30s", "$job", ".+", "$instance", ".+").Replace(expr)
				if count, err := countSeries(t.Context(), at, expr); err != nil || count == 0 {
					t.Errorf("%s, %s: %d series, %v: %s", filepath.Base(file), title, count, err, expr)
				}
			}
		}
	}
}

// addChain makes the records of the authorizer and of the plugin a chain, by a TEST KEY.
func addChain(dir string) error {
	key, _, err := audit.FormatChainKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "chain.pem")
	if err := os.WriteFile(file, key, 0o600); err != nil {
		return err
	}
	for _, name := range []string{"meshpass.yaml", "identity.yaml"} {
		name = filepath.Join(dir, name)
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		changed := strings.Replace(string(text), "audit: {output: stdout}", fmt.Sprintf("audit: {output: stdout, chain: {key: %q}}", file), 1)
		if changed == string(text) {
			return fmt.Errorf("%s has no section audit", name)
		}
		if err := os.WriteFile(name, []byte(changed), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startPrometheus starts a Prometheus that scrapes each second.
func startPrometheus(t *testing.T, mesh *localmesh.Mesh, program string) (url string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: meshpass, static_configs: [{targets: [%q]}]}\n- {job_name: tyk, static_configs: [{targets: [%q]}]}\n",
		strings.TrimPrefix(mesh.OpsURL(), "http://"), strings.TrimPrefix(mesh.PluginMetricsURL(), "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	proc, err := process.Start(process.Spec{Name: "prometheus", Path: program, Dir: dir, Stderr: filepath.Join(dir, "prometheus.log"),
		Args: []string{"--config.file=prometheus.yml", "--storage.tsdb.path=data", "--web.listen-address=" + address}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proc.Stop(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + address
}

// awaitQuery waits until a query has a result.
func awaitQuery(t *testing.T, at, expr string) {
	t.Helper()
	var count int
	var err error
	for deadline := time.Now().Add(time.Minute); count == 0; time.Sleep(100 * time.Millisecond) {
		if count, err = countSeries(t.Context(), at, expr); time.Now().After(deadline) {
			t.Fatalf("%s: no result in a minute: %v", expr, err)
		}
	}
}

func countSeries(ctx context.Context, at, expr string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at+"/api/v1/query?"+url.Values{"query": {expr}}.Encode(), nil)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	var answer struct {
		Error string
		Data  struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, errors.New(answer.Error)
	}
	return len(answer.Data.Result), nil
}

// readQueries reads the expressions of a dashboard, by the title of their panel.
func readQueries(t *testing.T, file string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			queries[p.Title] = append(queries[p.Title], target.Expr)
		}
	}
	if len(queries) == 0 {
		t.Fatalf("%s has no queries", file)
	}
	return queries
}
