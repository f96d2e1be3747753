package app

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/lockedbuffer"
)

// volume is a folder as the kubelet mounts a ConfigMap: names are links through
// ..data, which leads to the folder of one version, and a change swaps that link.
type volume struct {
	t       *testing.T
	dir     string
	version string
	n       int
}

func newVolume(t *testing.T, dir string, content map[string]string) *volume {
	t.Helper()
	v := &volume{t: t, dir: dir}
	v.put(content)
	for name := range content {
		v.must(os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name)))
	}
	return v
}

// put also removes the version before, at once, as the kubelet does.
func (v *volume) put(content map[string]string) {
	v.t.Helper()
	v.n++
	before, next := v.version, fmt.Sprintf("..v%d", v.n)
	v.must(os.Mkdir(filepath.Join(v.dir, next), 0o700))
	for name, text := range content {
		v.must(os.WriteFile(filepath.Join(v.dir, next, name), []byte(text), 0o600))
	}
	link := filepath.Join(v.dir, "..data_tmp")
	v.must(os.Symlink(next, link))
	v.must(os.Rename(link, filepath.Join(v.dir, "..data")))
	v.version = next
	if before != "" {
		v.must(os.RemoveAll(filepath.Join(v.dir, before)))
	}
}

func (v *volume) must(err error) {
	v.t.Helper()
	if err != nil {
		v.t.Fatal(err)
	}
}

// coupled are two documents that mean something only together: those who say that
// they are of this version are let in by the one, and all others are kept out by
// the other. Of a half-loaded pair, somebody would get no_rule, which no whole pair
// answers, or be let in by a version that is not the recorded generation's.
func coupled(version int) map[string]string {
	const says = `request.headers["x-version"]`
	return map[string]string{
		"a-allow.yaml": document("orders", fmt.Sprintf(`{name: in-%d, effect: allow, when: '%s == "%d"'}`, version, says, version)),
		"z-deny.yaml": strings.Replace(document("orders",
			fmt.Sprintf(`{name: out-%d, effect: deny, when: '%s != "%d"'}`, version, says, version)), "name: orders", "name: orders-out", 1),
	}
}

// half is a version whose one document is broken, so that the other must not take effect.
func half(version int) map[string]string {
	content := coupled(version)
	content["a-allow.yaml"] = "apiVersion: ["
	return content
}

// Thousands of versions are swapped under load, and not one decision is made by a
// set that is half of one and half of another. The watcher is called by hand: a
// second of waiting between two versions would show less.
func TestNoDecisionByAHalfLoadedSet(t *testing.T) {
	const versions, clients, checks = 2000, 3, 15
	f := withPolicies(t, "{dirs: [{path: volume}]}")
	dir := filepath.Join(filepath.Dir(f.config), "volume")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v := newVolume(t, dir, coupled(0))
	var records lockedbuffer.Buffer
	p := process(f.config)
	p.Strict, p.Stdout = true, &records
	a, err := loadAuthorizer(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.registry.Apply(t.Context(), a.trust.issuers.Get().entries); err != nil {
		t.Fatal(err)
	}
	defer a.registry.Close()
	servers, err := a.newCheckServers()
	if err != nil {
		t.Fatal(err)
	}

	var current atomic.Int64
	turns := make(chan struct{}, checks) // keeps Checks and reloads side by side
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() { askVersions(t, servers[0], &current, turns) })
	}
	generations := map[string]int{a.policies.set.Load().Generation(): 0}
	for version := 1; version <= versions; version++ {
		for range checks {
			turns <- struct{}{}
		}
		if version%5 == 0 {
			v.put(half(version))
			a.policies.documents.Poll()
			if err := a.policies.documents.Err(); err == nil {
				t.Fatal("a half-broken version is active")
			}
			continue
		}
		v.put(coupled(version))
		a.policies.documents.Poll()
		generations[a.policies.set.Load().Generation()] = version
		current.Store(int64(version))
	}
	close(turns)
	asking.Wait()
	compareRecords(t, records.String(), generations)
}

// askVersions says that it is of the active version, or of one near it.
func askVersions(t *testing.T, server *check.Server, current *atomic.Int64, turns chan struct{}) {
	var request *auth.CheckRequest
	asked := 0
	for range turns {
		if asked++; asked%100 == 1 { // on a busy machine, the test takes longer than a token lives
			request = order(t, gateway)
		}
		request.Attributes.Request.Http.Headers["x-version"] = fmt.Sprint(current.Load() + rand.Int64N(3) - 1)
		if _, err := server.Check(context.Background(), request); err != nil {
			t.Error(err)
		}
	}
}

// compareRecords compares each answer with the answer of the whole recorded generation.
func compareRecords(t *testing.T, records string, generations map[string]int) {
	t.Helper()
	allowed, denied := 0, 0
	for _, line := range strings.Split(strings.TrimSpace(records), "\n") {
		var r struct {
			Generation, Reason, Rule string
			Inputs                   map[string]any
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		version, known := generations[r.Generation]
		want := fmt.Sprintf("rule_denied out-%d", version)
		if r.Inputs["request.headers.x-version"] == fmt.Sprint(version) {
			want = fmt.Sprintf("rule_allowed in-%d", version)
			allowed++
		} else {
			denied++
		}
		if got := r.Reason + " " + r.Rule; !known || got != want {
			t.Fatalf("generation %s (version %d, known: %t): got %s, want %s", r.Generation, version, known, got, want)
		}
	}
	if len(generations) < 1500 || allowed < 100 || denied < 100 {
		t.Errorf("%d generations, %d allowed, %d denied: too few to show anything", len(generations), allowed, denied)
	}
	t.Logf("%d generations; %d allowed, %d denied", len(generations), allowed, denied)
}

// A swapped ConfigMap is noticed by the running process too.
func TestAMountedConfigMap(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: volume}]}")
	dir := filepath.Join(filepath.Dir(f.config), "volume")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	v := newVolume(t, dir, map[string]string{"orders.yaml": document("orders", all)})
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	v.put(map[string]string{"orders.yaml": document("orders", none)})
	a.answers(t, "swapped", "orders: rule_denied none")
	v.put(map[string]string{"orders.yaml": document("orders", bad)})
	a.await(t, documentsMessage)
	a.answers(t, "a bad version", "orders: rule_denied none")
	v.put(map[string]string{"orders.yaml": document("orders", all)})
	a.answers(t, "fixed", "orders: rule_allowed all")
}
