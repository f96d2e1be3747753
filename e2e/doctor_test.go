package e2e_test

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// doctorRig is a mesh with two authorizers that have files of their own, and the addresses for doctor.
type doctorRig struct {
	*localmesh.Mesh
	program string
	args    []string
	names   *strings.Replacer // of addresses

	nextKeyOnly string // a key set without the key that signs
}

const (
	otherKeys     = "jwks-2.json"
	otherPolicies = "policies-2"
)

func startDoctorRig(t *testing.T) *doctorRig {
	t.Helper()
	var nextKeyOnly []byte
	mesh := start(t, localmesh.Options{Topology: "replicas", Istiod: true, IstiodDebug: true, Prepare: func(dir string) error {
		config := filepath.Join(dir, "meshpass-2.yaml")
		text, err := os.ReadFile(config)
		if err != nil {
			return err
		}
		text = bytes.ReplaceAll(text, []byte("file: jwks.json"), []byte("file: "+otherKeys))
		text = bytes.ReplaceAll(text, []byte("path: policies"), []byte("path: "+otherPolicies))
		keys, next, err := publishNextKey(dir)
		nextKeyOnly = next
		return errors.Join(err, os.WriteFile(config, text, 0o644), os.WriteFile(filepath.Join(dir, otherKeys), keys, 0o644),
			os.CopyFS(filepath.Join(dir, otherPolicies), os.DirFS(filepath.Join(dir, "policies"))))
	}})
	program, err := repo.Bin("meshpass", "meshpass")
	if err != nil {
		t.Fatal(err)
	}
	ops := mesh.OpsAddresses()
	var names []string
	for _, part := range [][2]string{{mesh.GatewayURL(), "GATEWAY"}, {mesh.GatewayControlURL(), "CONTROL"}, {mesh.PluginMetricsURL(), "METRICS"}, {"http://" + ops["meshpass"], "A"},
		{"http://" + ops["meshpass-2"], "B"}, {mesh.EnvoyAdminURL("orders"), "ORDERS"}, {mesh.EnvoyAdminURL("inventory"), "INVENTORY"}, {mesh.IstiodDebugURL(), "ISTIOD"}} {
		names = append(names, part[0], part[1], strings.TrimPrefix(part[0], "http://"), part[1])
	}
	r := &doctorRig{Mesh: mesh, program: program, names: strings.NewReplacer(names...), nextKeyOnly: string(nextKeyOnly)}
	r.args = []string{"doctor", "--gateway", mesh.GatewayURL(), "--hello", mesh.GatewayControlURL(), "--plugin-metrics", mesh.PluginMetricsURL(),
		"--authorizer", ops["meshpass"], "--authorizer", ops["meshpass-2"],
		"--envoy", mesh.EnvoyAdminURL("orders"), "--envoy", mesh.EnvoyAdminURL("inventory"), "--istiod", mesh.IstiodDebugURL()}
	return r
}

// publishNextKey makes a key that signs from tomorrow on, and publishes it with the one that signs now. It returns that key
// set, and one without the key that signs now.
func publishNextKey(dir string) (both, next []byte, err error) {
	now, folder := time.Now(), filepath.Join(dir, "keys")
	plan := keyset.Plan{PublishAt: now.Add(-time.Hour), SignFrom: now.AddDate(0, 0, 1), SignUntil: now.AddDate(0, 0, 9), RemoveAfter: now.AddDate(0, 0, 10)}
	kid, err := keyset.CreateKey(folder, keyset.DefaultAlgorithm, plan)
	if err != nil {
		return nil, nil, err
	}
	signing, err := keyset.LoadSigningKeys(folder)
	if err != nil {
		return nil, nil, err
	}
	if both, err = signing.JWKS(now); err != nil {
		return nil, nil, err
	}
	public, err := keyset.ParseJWKS(both)
	if err != nil {
		return nil, nil, err
	}
	others := slices.DeleteFunc(public.KeyIDs(), func(id string) bool { return id == kid })
	next, err = keyset.MarshalJWKS(public.Without(others...))
	return both, next, errors.Join(err, os.WriteFile(filepath.Join(dir, "jwks.json"), both, 0o644))
}

var (
	questions  = regexp.MustCompile(`\d+ of \d+$`)
	attempts   = regexp.MustCompile(`attempts: \d+`)
	generation = regexp.MustCompile(`\b[0-9a-f]{12}\b`)
	keyID      = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)
)

// examine runs doctor. Its lines have names in place of addresses, and no numbers that differ between runs.
func (r *doctorRig) examine(t *testing.T, more ...string) (lines []string, code int) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), r.program, append(slices.Clone(r.args), more...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if code == 1 && errs.Len() > 0 {
		t.Errorf("standard error: %s", errs.String())
	}
	for line := range strings.Lines(r.names.Replace(out.String())) {
		line = strings.TrimSpace(line)
		for pattern, text := range map[*regexp.Regexp]string{questions: "N of N", attempts: "attempts: N", generation: "G", keyID: "KID"} {
			line = pattern.ReplaceAllString(line, text)
		}
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return lines, code
}

// findFaults are the lines of what is not fine, without what to do.
func (r *doctorRig) findFaults(t *testing.T, more ...string) (faults []string, code int) {
	t.Helper()
	lines, code := r.examine(t, more...)
	for _, line := range lines[:len(lines)-1] {
		line, advice, advised := strings.Cut(line, "; do: ")
		switch {
		case strings.HasPrefix(line, "ok "):
		case !advised || advice == "":
			t.Errorf("no advice: %s", line)
		default:
			faults = append(faults, line)
		}
	}
	return faults, code
}

// awaitFaults runs doctor until it finds exactly these faults.
func (r *doctorRig) awaitFaults(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	var code int
	wantCode := 1
	if len(want) == 0 {
		wantCode = 0
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if got, code = r.findFaults(t); slices.Equal(got, want) && code == wantCode {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not in 30 s: exit code %d:\n%s\nwant:\n%s", code, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func (r *doctorRig) write(t *testing.T, name, text string) {
	t.Helper()
	if err := atomicfile.Write(filepath.Join(r.Dir(), name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (r *doctorRig) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.Dir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// awaitAnswer sends requests through the gateway, orders and inventory until one gets this status. After 200 all Envoys on
// the way have a connection to an authorizer.
func (r *doctorRig) awaitAnswer(t *testing.T, want int) {
	t.Helper()
	await(t, func() bool {
		send := scenarios.Send{To: "gateway", Method: http.MethodGet, Path: "/jwt/tenants/acme/orders/1001", As: "alice"}
		answer, err := r.Send(t.Context(), scenarios.Request{ID: "doctor", Send: send})
		return err == nil && answer.Status == want
	})
}

// Every fault of the real parts gives exactly its lines, and the fixed fault gives none.
func TestDoctor(t *testing.T) {
	r := startDoctorRig(t)
	r.awaitAnswer(t, http.StatusOK)
	r.awaitFaults(t) // the plugin serves its metrics a moment after its APIs
	lines, code := r.examine(t)
	want := []string{
		"ok gateway CONTROL/hello: Tyk v5.8.1",
		"ok canary GATEWAY/meshpass-canary/: 200 ready: a token can be signed",
		"ok plugin METRICS: version unknown, built for Tyk v5.8.1",
		"ok authorizer A: ready, documents: 3, unguarded: deny",
		"ok authorizer B: ready, documents: 3, unguarded: deny",
		"ok generation A: G",
		"ok generation B: G",
		"ok keys GATEWAY: signs with KID (EdDSA); authorizers that know it: 2",
		"ok clock GATEWAY: agrees with the others",
		"ok clock A: agrees with the others",
		"ok clock B: agrees with the others",
		"ok envoy ORDERS: asks outbound|9000||meshpass.meshpass.svc.cluster.local, closed, timeout 0.250s, ServiceUnavailable on error",
		"ok envoy INVENTORY: asks outbound|9000||meshpass.meshpass.svc.cluster.local, closed, timeout 0.250s, ServiceUnavailable on error",
		"ok provider ORDERS: connected, endpoints: 2, questions without an answer: N of N",
		"ok provider INVENTORY: connected, endpoints: 2, questions without an answer: N of N",
		"ok istiod ORDERS: orders.shop has the listeners that istiod pushed",
		"ok istiod INVENTORY: inventory.shop has the listeners that istiod pushed",
		"17 checks: 17 ok, 0 wrong, 0 not checked, 0 skipped",
	}
	if code != 0 || !slices.Equal(lines, want) {
		t.Fatalf("exit code %d:\n%s\nwant:\n%s", code, strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	for _, fault := range doctorFaults {
		t.Run(fault.name, func(t *testing.T) {
			undo := fault.make(t, r)
			defer r.awaitFaults(t)
			defer r.awaitAnswer(t, http.StatusOK)
			defer undo()
			r.awaitFaults(t, fault.want...)
		})
		if t.Failed() {
			t.FailNow() // what follows would start from another state
		}
	}
	t.Run("a skewed clock", func(t *testing.T) { testSkewedClock(t, r) })
	t.Run("not given", func(t *testing.T) { testNotGiven(t, r) })
}

// doctorFaults are made on the running parts, one after another, and undone.
var doctorFaults = []struct {
	name string
	make func(t *testing.T, r *doctorRig) (undo func())
	want []string
}{
	{"a key that one authorizer does not know", changeFile(otherKeys, func(r *doctorRig, _ string) string { return r.nextKeyOnly }),
		[]string{"WRONG keys B: does not know the key KID, with which GATEWAY signs: its tokens get 403 kid_unknown there"}},
	{"an older generation on one replica", changeFile("policies/orders.yaml", renameScope),
		[]string{"WRONG generation B: G is active, and A loaded G later"}},
	{"a rejected document", breakPolicies,
		[]string{"WRONG authorizer A: orders (policies/orders.yaml) is rejected: the previous version stays active",
			"WRONG authorizer A: policies: policies/orders.yaml:7:3: unknown key \"rulez\" (did you mean \"rules\"?); known here: identity, mode, onOutage, public, rules, targets",
			"WRONG authorizer B: orders (policies-2/orders.yaml) is rejected: the previous version stays active",
			"WRONG authorizer B: policies: policies-2/orders.yaml:7:3: unknown key \"rulez\" (did you mean \"rules\"?); known here: identity, mode, onOutage, public, rules, targets",
			"WRONG generation A: G is active, the files contain G",
			"WRONG generation B: G is active, the files contain G"}},
	{"an authorizer that is down", killOneAuthorizer,
		[]string{"WRONG authorizer B: no answer: dial tcp B: connect: connection refused; not known: its generation, keys and clock"}},
	{"istiod that is down", killProgram("istiod"),
		[]string{"WRONG istiod ISTIOD: no answer: dial tcp ISTIOD: connect: connection refused; not known: which Envoys have what it pushed"}},
	{"a gateway without the plugin", startWithoutPlugin,
		[]string{"WRONG canary GATEWAY/meshpass-canary/: 500 by Tyk: the plugin is missing, or it was built for another release or build of the gateway",
			"WRONG plugin METRICS: no answer: dial tcp METRICS: connect: connection refused; not known: its version and the key that signs"}},
	{"a definition that does not protect its API", changeFile("apis/orders-key.json", func(_ *doctorRig, text string) string {
		return strings.Replace(text, "SignIdentity", "SignIdentities", 1)
	}),
		[]string{"WRONG canary GATEWAY/meshpass-canary/: 503 config_invalid: every request of an API with the plugin is denied",
			"WRONG plugin METRICS: API definitions that do not protect their API: 1, cause sign_missing"}},
	{"a provider that MeshConfig does not have", changeGuard("meshpas", "mistyped"),
		[]string{"WRONG envoy ORDERS: istiod denies every request, because it cannot use the provider of istio-ext-authz-meshpas-ns[istio-system]-policy[test]-rule[0]"}},
	{"a label that no policy selects", changeGuard("", "yes"),
		[]string{"WRONG envoy ORDERS: no ext_authz filter: every request passes without a decision"}},
	{"the open provider", changeGuard("", "open"),
		[]string{"WRONG envoy ORDERS: open: while the authorizer cannot be asked, every request passes"}},
	{"a provider whose Service does not exist", changeGuard("meshpass-waypoint", "other"),
		[]string{"WRONG envoy ORDERS: istiod denies every request, because it cannot use the provider of istio-ext-authz-meshpass-waypoint-ns[istio-system]-policy[test]-rule[0]"}},
	{"authorizers that Envoys do not reach", killAuthorizers,
		[]string{"WRONG authorizer A: no answer: dial tcp A: connect: connection refused; not known: its generation, keys and clock",
			"WRONG authorizer B: no answer: dial tcp B: connect: connection refused; not known: its generation, keys and clock",
			"WRONG provider ORDERS: no connection to the authorizer, failed attempts: N"}},
}

func renameScope(_ *doctorRig, text string) string {
	return strings.ReplaceAll(text, "orders.read", "orders.list")
}

// breakPolicies makes the same mistake in the files of both authorizers.
func breakPolicies(t *testing.T, r *doctorRig) func() {
	change := func(_ *doctorRig, text string) string { return strings.Replace(text, "rules:", "rulez:", 1) }
	backA, backB := changeFile("policies/orders.yaml", change)(t, r), changeFile(otherPolicies+"/orders.yaml", change)(t, r)
	return func() { backA(); backB() }
}

// changeFile changes a file of the run's folder.
func changeFile(name string, change func(r *doctorRig, text string) string) func(*testing.T, *doctorRig) func() {
	return func(t *testing.T, r *doctorRig) func() {
		before := r.read(t, name)
		r.write(t, name, change(r, before))
		return func() { r.write(t, name, before) }
	}
}

func killProgram(name string) func(*testing.T, *doctorRig) func() {
	return func(t *testing.T, r *doctorRig) func() {
		if err := r.Kill(name); err != nil {
			t.Fatal(err)
		}
		return func() { r.restart(t, name) }
	}
}

func (r *doctorRig) restart(t *testing.T, name string) {
	t.Helper()
	if err := r.Restart(t.Context(), name); err != nil {
		t.Fatal(err)
	}
}

// killOneAuthorizer kills one, and sends requests until all Envoys are connected to the other one.
func killOneAuthorizer(t *testing.T, r *doctorRig) func() {
	back := killProgram("meshpass-2")(t, r)
	r.awaitAnswer(t, http.StatusOK)
	return back
}

// killAuthorizers kills both, and sends a request, for which the Envoy of orders tries to connect. The Envoy of inventory gets
// no request, and is not asked.
func killAuthorizers(t *testing.T, r *doctorRig) func() {
	all := r.args
	at := slices.Index(all, r.EnvoyAdminURL("inventory"))
	r.args = slices.Delete(slices.Clone(all), at-1, at+1)
	backA, backB := killProgram("meshpass")(t, r), killProgram("meshpass-2")(t, r)
	r.awaitAnswer(t, http.StatusServiceUnavailable)
	return func() {
		r.args = all
		backA()
		backB()
	}
}

// startWithoutPlugin starts the gateway again, without the file of the plugin.
func startWithoutPlugin(t *testing.T, r *doctorRig) func() {
	link := filepath.Join(r.Dir(), "plugins")
	target, err := os.Readlink(link)
	if err != nil {
		t.Fatal(err)
	}
	restart := killProgram("tyk")(t, r)
	if err := os.Remove(link); err != nil {
		t.Fatal(err)
	}
	restart()
	return func() {
		restart := killProgram("tyk")(t, r)
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		restart()
	}
}

// changeGuard gives orders another value of its label, and with a provider also a policy for this value.
func changeGuard(provider, label string) func(*testing.T, *doctorRig) func() {
	return func(t *testing.T, r *doctorRig) func() {
		const policy = "cluster/test.yaml"
		before := r.read(t, "cluster/orders.yaml")
		if provider != "" {
			r.write(t, policy, `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: test, namespace: istio-system}
spec:
  selector: {matchLabels: {meshpass.dev/guarded: `+label+`}}
  action: CUSTOM
  provider: {name: `+provider+`}
  rules: [{}]
`)
		}
		r.write(t, "cluster/orders.yaml", strings.Replace(before, `meshpass.dev/guarded: "true"`, `meshpass.dev/guarded: "`+label+`"`, 1))
		return func() {
			if provider != "" {
				if err := os.Remove(filepath.Join(r.Dir(), policy)); err != nil {
					t.Fatal(err)
				}
			}
			r.write(t, "cluster/orders.yaml", before)
		}
	}
}

// The clock of a process cannot be changed without root: a proxy that moves the Date of the answers is a stand-in for a
// node whose clock is wrong.
func testSkewedClock(t *testing.T, r *doctorRig) {
	at, err := url.Parse("http://" + r.OpsAddresses()["meshpass"])
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(at)
	proxy.ModifyResponse = func(response *http.Response) error {
		date, err := http.ParseTime(response.Header.Get("Date"))
		response.Header.Set("Date", date.Add(-90*time.Second).Format(http.TimeFormat))
		return err
	}
	server := httptest.NewServer(proxy)
	defer server.Close()
	faults, code := r.findFaults(t, "--authorizer", server.URL)
	if len(faults) == 1 {
		faults[0] = strings.Replace(faults[0], server.URL, "SKEWED", 1)
	}
	// Whole seconds make the least difference 88 or 89 seconds.
	want := regexp.MustCompile(`^WRONG clock SKEWED: at least 1m(28|29|30)s behind the others$`)
	if code != 1 || len(faults) != 1 || !want.MatchString(faults[0]) {
		t.Errorf("exit code %d: %q", code, faults)
	}
}

// What is not given is named, and the exit code is 2, unless it is left out on purpose.
func testNotGiven(t *testing.T, r *doctorRig) {
	all := r.args
	defer func() { r.args = all }()
	r.args = all[:len(all)-2] // without --istiod
	faults, code := r.findFaults(t)
	if want := []string{"NOT CHECKED istiod no address of istiod"}; code != 2 || !slices.Equal(faults, want) {
		t.Errorf("exit code %d: %q", code, faults)
	}
	lines, code := r.examine(t, "--skip", "istiod")
	if last := lines[len(lines)-1]; code != 0 || last != "16 checks: 15 ok, 0 wrong, 0 not checked, 1 skipped" {
		t.Errorf("exit code %d: %s", code, strings.Join(lines, "\n"))
	}
}
