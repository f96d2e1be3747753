// Package rehearse_test runs `meshpass rehearse` with the real gateway, Envoy and Redis.
package rehearse_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshpass/meshpass/e2e/envoy"
	"github.com/meshpass/meshpass/e2e/repo"
)

// report is the part of the JSON report that tests read.
type report struct {
	Requests, Missed int
	Isolated         bool
	Scope            string
	Limiter          struct {
		Name  string
		Exact bool
	}
	Rows []struct {
		Caller, API string
		Status      map[string]int
		Latency     struct{ Layers map[string]float64 }
		Idle        struct {
			Count  int
			Layers map[string]float64
		}
	}
	Loads []struct {
		Name    string
		Status  map[string]int
		Denials []struct {
			Layer, Reason, Rule string
			Count               int
		}
		Limits []struct {
			Kind, Name, Shared string
			Rate, Per, Quota   float64
			Status, From       int
			Count              int
		}
		Points []struct{ Status int }
		Checks []struct {
			What, Want, Got string
			Met             bool
		}
	}
	Replay struct {
		Records, OtherLines, Damaged, Missing, Sent, Same, Changed int
		Skipped                                                    map[string]int
		Changes                                                    []struct{ Caller, Path, Was, Now string }
	}
	Changes struct {
		Replaced, NotRun, Left []struct{ File, Part, Was, Now, Note string }
	}
}

// programs are the flags that name the programs and the plugin. The test is NOT RUN on a machine without Redis.
func programs(t *testing.T) []string {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("NOT RUN: rehearsals: needs redis-server")
	}
	bin, err := repo.BinDir()
	must(t, err)
	plugins, err := filepath.Glob(filepath.Join(bin, "plugins", "identity_*.so"))
	must(t, err)
	if len(plugins) != 1 {
		t.Fatalf("%d plugins in %s: run make build", len(plugins), bin)
	}
	gateway, err := repo.Bin("tyk", "build")
	must(t, err)
	proxy, err := envoy.Find(bin)
	must(t, err)
	return []string{"--plugin", plugins[0], "--gateway", gateway, "--envoy", proxy}
}

// command is `meshpass rehearse` with a folder of its own for temporary files, which must be empty at the end.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	meshpass, err := repo.Bin("meshpass", "meshpass")
	must(t, err)
	cmd := exec.Command(meshpass, append(append([]string{"rehearse"}, programs(t)...), args...)...)
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	t.Cleanup(func() {
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) > 0 {
			t.Errorf("files are left: %v %v", left, err)
		}
	})
	return cmd
}

// rehearse runs a rehearsal with this exit code.
func rehearse(t *testing.T, code int, args ...string) (r report, stderr string) {
	t.Helper()
	cmd := command(t, append(args, "-o", "json")...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := cmd.ProcessState.ExitCode(); got != code {
		t.Fatalf("exit code %d, want %d\n%s\n%s", got, code, &log, &out)
	}
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, &out)
	}
	return r, log.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := repo.Root()
	must(t, err)
	return dir
}

// The shipped example passes, with the shop's own definitions, policies and configuration.
func TestShop(t *testing.T) {
	t.Parallel()
	r, log := rehearse(t, 0, filepath.Join(root(t), "manifests", "rehearsal", "shop.yaml"))
	if r.Missed != 0 || r.Requests != 55 || !r.Limiter.Exact {
		t.Errorf("got %+v", r)
	}
	got := map[string]string{}
	for _, l := range r.Loads {
		text := fmt.Sprint(l.Status)
		for _, d := range l.Denials {
			text += fmt.Sprintf(" %s %s %d", d.Layer, d.Reason, d.Count)
		}
		for _, limit := range l.Limits {
			text += fmt.Sprintf(" %s: %s: %v/%v from %d", limit.Kind, limit.Name, limit.Rate, limit.Per, limit.From)
		}
		got[l.Name] = text
	}
	want := map[string]string{
		"alice reads her order":                        "map[200:40]",
		"alice signs in by OpenID Connect":             "map[200:2]",
		"another tenant's order":                       "map[403:2] authorizer no_rule 2",
		"without the scope":                            "map[403:2] authorizer no_rule 2",
		"a partner sends more than the policy permits": "map[200:5 429:3] policy: policy gold: 5/60 from 6",
		"without a credential":                         "map[400:1] gateway Authorization field missing 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for layer, least := range map[string]float64{"gateway": 0.1, "envoy": 0.05, "authorizer": 0.05, "service": 2} { // the stand-in waits for 2 ms
		if took := r.Rows[0].Latency.Layers[layer]; took < least {
			t.Errorf("%s took %v ms, want at least %v", layer, took, least)
		}
		if took := r.Rows[0].Idle.Layers[layer]; took < least {
			t.Errorf("without load, %s took %v ms, want at least %v", layer, took, least)
		}
	}
	if r.Rows[0].Idle.Count < 10 || !strings.HasPrefix(r.Scope, "the edge and the first hop: ") {
		t.Errorf("measured %d requests without load; rehearsed: %s", r.Rows[0].Idle.Count, r.Scope)
	}
	if !strings.Contains(log, "[########################################] 55 of 55 requests") {
		t.Errorf("no progress bar: %s", log)
	}
}

// Each kind of limit is named as the one that denied, from the right request on, and each has the numbers of the file that sets it.
func TestLimits(t *testing.T) {
	t.Parallel()
	r, _ := rehearse(t, 0, "testdata/limits/rehearsal.yaml")
	got := map[string]string{}
	for _, l := range r.Loads {
		for _, limit := range l.Limits {
			got[l.Name] += fmt.Sprintf("%s | %s | %v in %v, quota %v | %d from %d | %s", limit.Kind, limit.Name, limit.Rate, limit.Per, limit.Quota, limit.Status, limit.From, limit.Shared)
		}
	}
	want := map[string]string{
		"policy on":                "policy | policy wide | 3 in 60, quota 0 | 429 from 2 | all requests of the caller",
		"key":                      "key | key own | 2 in 60, quota 0 | 429 from 3 | all requests of the caller",
		"api":                      "api | policy per-api, API plain | 2 in 60, quota 0 | 429 from 3 | the caller's requests to the API",
		"endpoint of a policy":     "api | policy paths, endpoint GET /tenants/acme/orders/9 of API plain | 2 in 60, quota 0 | 429 from 3 | the caller's requests to the endpoint",
		"global of another caller": "global | API busy | 4 in 60, quota 0 | 429 from 2 | all callers of the API",
		"endpoint of a definition": "global | API endpoint, endpoint GET /tenants/acme/orders/7 | 2 in 60, quota 0 | 429 from 3 | all callers of the endpoint",
		"quota":                    "quota | policy monthly | 0 in 0, quota 4 | 403 from 5 | all requests of the caller",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	removed := false // from the OpenAPI form of the API second, which runs with its hooks
	for _, change := range r.Changes.NotRun {
		removed = removed || change.File == "second-oas.json" && change.Part == "middleware.operations.getOrder.virtualEndpoint"
	}
	if !removed {
		t.Errorf("the virtual endpoint is not listed: %+v", r.Changes.NotRun)
	}
}

// The switches of the gateway say which requests the limit of an endpoint counts: another limit denies the others.
func TestEndpointSwitches(t *testing.T) {
	t.Parallel()
	limits, err := filepath.Abs("testdata/limits")
	must(t, err)
	endpoint, err := os.ReadFile("testdata/limits/apis/endpoint.json")
	must(t, err)
	policies, err := os.ReadFile("testdata/limits/policies.json")
	must(t, err)
	const ofEndpoint, ofAPI = "global: API endpoint, endpoint GET /orders/7 from 3", "global: API endpoint from 5"
	const ofGranted, ofPolicy = "api: policy paths, endpoint GET /orders/9 of API plain from 3", "policy: policy paths from 4"
	for name, row := range map[string]struct{ options, longer, inner string }{
		"none":   {"", ofEndpoint, ofGranted},
		"prefix": {`"enable_path_prefix_matching": true`, ofAPI, ofPolicy},
		"suffix": {`"enable_path_suffix_matching": true`, ofAPI, ofGranted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			must(t, os.CopyFS(filepath.Join(dir, "apis"), os.DirFS("testdata/limits/apis")))
			write(t, dir, "apis/endpoint.json", strings.NewReplacer("/tenants/acme/orders/7", "/orders/7", `"api_id": "endpoint",`, `"api_id": "endpoint", "global_rate_limit": {"rate": 4, "per": 60},`).Replace(string(endpoint)))
			before, paths, found := strings.Cut(string(policies), `"paths": {`)
			if !found {
				t.Fatal("no policy paths")
			}
			write(t, dir, "policies.json", before+`"paths": {`+strings.NewReplacer("/tenants/acme/orders/9", "/orders/9", `"rate": 1000`, `"rate": 3`).Replace(paths))
			write(t, dir, "tyk.conf", `{"hash_keys": true, "enable_redis_rolling_limiter": true, "http_server_options": {`+row.options+`}}`)
			file := write(t, dir, "rehearsal.yaml", fmt.Sprintf(`
gateway: {conf: tyk.conf, apis: apis, policies: policies.json, plugin: %[1]s/plugin.yaml}
authorizer: {config: %[1]s/meshpass.yaml}
keys:
  free: {policies: [free], metadata: {developer_id: a, tenant: acme}}
  paths: {policies: [paths], metadata: {developer_id: b, tenant: acme}}
load:
  - {name: longer path, as: free, path: /endpoint/tenants/acme/orders/77, burst: 6}
  - {name: inner path, as: paths, path: /plain/tenants/acme/orders/9, burst: 6}
`, limits))
			r, _ := rehearse(t, 0, file)
			got := map[string]string{}
			for _, l := range r.Loads {
				for _, limit := range l.Limits {
					got[l.Name] += fmt.Sprintf("%s: %s from %d", limit.Kind, limit.Name, limit.From)
				}
			}
			if diff := cmp.Diff(map[string]string{"longer path": row.longer, "inner path": row.inner}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The limiters of Tyk admit different requests of the same load: docs/rehearse.md describes them.
func TestLimiters(t *testing.T) {
	t.Parallel()
	limits, err := filepath.Abs("testdata/limits")
	must(t, err)
	for name, row := range map[string]struct {
		conf, limiter string
		exact         bool
		passed        string // . and x, of each request
	}{
		"DRL":      {`{"hash_keys": true}`, "distributed rate limiter (DRL) in the memory of each gateway", false, "....xxxx....xxxx"},
		"sentinel": {`{"enable_sentinel_rate_limiter": true}`, "sentinel in Redis", false, ""}, // which ones pass is a matter of time
		"rolling, and DRL's sentinel": {
			`{"hash_keys": true, "enable_redis_rolling_limiter": true, "drl_enable_sentinel_rate_limiter": true}`, "rolling window in Redis", true, "...xxxxx...xxxxx",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "tyk.conf", row.conf)
			file := write(t, dir, "rehearsal.yaml", fmt.Sprintf(`
gateway: {conf: tyk.conf, apis: %[1]s/apis, policies: %[1]s/policies.json, plugin: %[1]s/plugin.yaml}
authorizer: {config: %[1]s/meshpass.yaml}
keys:
  own: {metadata: {developer_id: p, tenant: acme}, session: {rate: 4, per: 2, quota_max: -1, access_rights: {plain: {api_id: plain, api_name: plain, versions: [Default]}}}}
load: [{name: bursts, as: own, path: /plain/tenants/acme/orders/1, burst: 8, times: 2, every: 3500ms}]
`, limits))
			r, _ := rehearse(t, 0, file)
			passed := ""
			for _, p := range r.Loads[0].Points {
				passed += map[int]string{200: ".", 429: "x"}[p.Status]
			}
			if r.Limiter.Name != row.limiter || r.Limiter.Exact != row.exact || row.passed != "" && passed != row.passed {
				t.Errorf("got %s of %+v", passed, r.Limiter)
			}
		})
	}
}

// An expectation that is missed is the answer no, with both values.
func TestMissedExpectation(t *testing.T) {
	t.Parallel()
	limits, err := filepath.Abs("testdata/limits")
	must(t, err)
	file := write(t, t.TempDir(), "rehearsal.yaml", fmt.Sprintf(`
gateway: {apis: %[1]s/apis, policies: %[1]s/policies.json, plugin: %[1]s/plugin.yaml}
authorizer: {config: %[1]s/meshpass.yaml}
keys: {wide: {policies: [wide], metadata: {developer_id: p, tenant: acme}}}
load: [{name: all pass, as: wide, path: /plain/tenants/acme/orders/1, burst: 4, expect: {status: {200: 4}, limitedFrom: 0, limitedBy: key, deniedBy: own-tenant, p99: 1ms}}]
`, limits))
	r, _ := rehearse(t, 1, file)
	got := ""
	for _, c := range r.Loads[0].Checks {
		if c.What != "p99 in ms at most" {
			got += fmt.Sprintf("%s: %s: %s: %v\n", c.What, c.Want, c.Got, c.Met)
		}
	}
	want := "status 200: 4: 3: false\nother statuses: 0: 1: false\nlimited from request: 0: 4: false\nlimited by: key: policy (policy wide): false\ndenied by: own-tenant: none: false\n"
	if got != want || r.Missed != 6 {
		t.Errorf("%d missed:\n%s", r.Missed, got)
	}
}

// Recorded requests get their recorded answers again. Documents that no longer allow them change the answers, by the rule that denies.
func TestReplay(t *testing.T) {
	t.Parallel()
	records := filepath.Join(root(t), "extauthz", "internal", "policycli", "replay", "testdata", "tour.jsonl")
	shop, err := os.ReadFile(filepath.Join(root(t), "manifests", "rehearsal", "shop.yaml"))
	must(t, err)
	config, _, _ := strings.Cut(string(shop), "\nusers:")
	config = strings.ReplaceAll(config, " ../", " "+filepath.Join(root(t), "manifests")+"/") + "\nreplay: {expect: {changed: 0}}\n"
	t.Run("same", func(t *testing.T) {
		t.Parallel()
		r, _ := rehearse(t, 0, write(t, t.TempDir(), "rehearsal.yaml", config), "--from", records)
		if got := r.Replay; got.Records != 34 || got.Sent != 12 || got.Same != 12 || len(got.Skipped) > 0 {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("changed", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		must(t, os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(filepath.Join(root(t), "manifests", "policies"))))
		orders, err := os.ReadFile(filepath.Join(dir, "policies", "orders.yaml"))
		must(t, err)
		write(t, dir, "policies/orders.yaml", strings.Replace(string(orders), "scopes: [orders.read]", "scopes: [orders.audit]", 1))
		changed := strings.Replace(config, filepath.Join(root(t), "manifests", "policies")+"}", "policies}", 1)
		r, _ := rehearse(t, 1, write(t, dir, "rehearsal.yaml", changed), "--from", records)
		if r.Replay.Changed != 8 || r.Replay.Same != 4 || r.Missed != 1 {
			t.Errorf("got %+v", r.Replay)
		}
		for _, c := range r.Replay.Changes {
			if c.Was != "allow" || c.Now != "deny no_rule" || !strings.Contains(c.Path, "/orders/") {
				t.Errorf("got %+v", c)
			}
		}
	})
}

// A program or plugin that does not work is an error with its own message. A gateway without its plugin would answer 500.
func TestProgramsThatDoNotWork(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken := write(t, dir, "broken", "#!/bin/sh\necho 'no such option' >&2\nexit 3\n")
	must(t, os.Chmod(broken, 0o755))
	for flag, want := range map[string]string{
		"--plugin":  "gateway: it cannot load the plugin " + broken,
		"--envoy":   "Envoy: envoy ended (exit status 3)",
		"--redis":   "no such option",
		"--gateway": "gateway: tyk ended (exit status 3)",
	} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			if _, log := rehearse(t, 2, "testdata/limits/rehearsal.yaml", flag, broken); !strings.Contains(log, want) || strings.Contains(log, "/meshpass-rehearse-") {
				t.Errorf("got %s\nwant %s, and no file that is removed", log, want)
			}
		})
	}
}
