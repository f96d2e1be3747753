package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/revocation"
)

// at is the path of a file beside the configuration.
func (f files) at(name string) string { return filepath.Join(filepath.Dir(f.config), name) }

// addOddities puts what is no document into the folder of documents.
func (f files) addOddities(documents bool) {
	f.t.Helper()
	must := func(err error) {
		f.t.Helper()
		if err != nil {
			f.t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(f.at("policies/pipe"), 0o600))
	must(os.Symlink("absent", f.at("policies/README")))
	must(os.Mkdir(f.at("policies/lost+found"), 0))
	f.write("policies/notes.txt", "")
	must(os.Truncate(f.at("policies/notes.txt"), 1<<40)) // holes, which take no space
	if documents {
		must(syscall.Mkfifo(f.at("policies/pipe.yaml"), 0o600))
		must(os.Symlink("absent", f.at("policies/dangling.yaml")))
	}
}

// What lies beside the documents stops no start, freezes no change and blocks no
// stop. Without the fix the start never ends.
func TestOddFilesBesideDocuments(t *testing.T) {
	for _, strict := range []bool{false, true} {
		f := withPolicies(t, "{dirs: [{path: policies}]}")
		f.write("policies/orders.yaml", document("orders", all))
		f.addOddities(!strict) // a pipe that is named as a document is a problem, which strict takes for all
		a := startAsked(t, f, func(p *Process) { p.Strict = strict })
		a.answers(t, "start", "orders: rule_allowed all")
		f.write("policies/orders.yaml", document("orders", none))
		a.answers(t, "changed", "orders: rule_denied none")
		if !strict {
			a.metric(t, `meshpass_policy_documents_refused{instead="denied"} 0`)
			a.metric(t, `meshpass_policy_documents_refused{instead="last_good"} 2`)
			if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, "policies/pipe.yaml: pipe.yaml is a named pipe, not a regular file") {
				t.Errorf("what is passed over is not named: %s", text)
			}
		}
		if err := a.end(t); err != nil {
			t.Error(err)
		}
	}
}

// Each file that is watched may become a pipe while the process runs: what was loaded
// stays, all others are followed, and the process ends when it is asked to.
func TestWatchedFilesThatBecomePipes(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}], overrides: overrides.yaml}\nrevocation: {file: revoked.yaml}")
	f.write("policies/orders.yaml", document("orders", all))
	f.write("overrides.yaml", "overrides: []")
	f.write("revoked.yaml", "revocations: []\n")
	a := startAsked(t, f)
	for name, source := range map[string]string{"meshpass.yaml": "config", "jwks.json": "jwks", "overrides.yaml": "overrides", "revoked.yaml": "revocations"} {
		if err := os.Rename(f.at(name), f.at(name)+".before"); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mkfifo(f.at(name), 0o600); err != nil {
			t.Fatal(err)
		}
		a.metric(t, fmt.Sprintf("meshpass_reload_current{source=%q} 0", source))
	}
	a.answers(t, "all are pipes", "orders: rule_allowed all")
	f.write("policies/orders.yaml", document("orders", none))
	a.answers(t, "documents are followed", "orders: rule_denied none")
	if err := a.end(t); err != nil {
		t.Error(err)
	}
}

// A source whose look hangs keeps neither the others nor the end of the process waiting.
func TestASourceThatHangs(t *testing.T) {
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	looked := make(chan struct{}, 1)
	stop := watchAll(map[string]source{"hangs": hanging{hang, looked}}, time.Millisecond)
	<-looked
	began := time.Now()
	stop()
	if took := time.Since(began); took > 10*stopWatching {
		t.Errorf("the end waits for a look that hangs: %v", took)
	}
}

// hanging is a source with a look that ends with the channel only.
type hanging struct {
	hang   chan struct{}
	looked chan struct{}
}

func (h hanging) Since() time.Time  { return time.Time{} }
func (h hanging) Looked() time.Time { return time.Time{} }
func (h hanging) Err() error        { return nil }

func (h hanging) Run(context.Context, time.Duration) {
	h.looked <- struct{}{}
	<-h.hang
}

// A start that waits for a file ends when it is asked to.
func TestAStartThatHangsEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hang, hangs := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := untilStopped(ctx, func() (*authorizer, error) { close(hangs); <-hang; return nil, nil })
		ended <- err
	}()
	<-hangs
	cancel()
	if err := <-ended; !errors.Is(err, ErrStopped) {
		t.Errorf("got %v", err)
	}
	close(hang)
}

// The metrics and the status tell when each source was looked at last.
func TestTheLastLookIsShown(t *testing.T) {
	f := newFiles(t, oneListener)
	a := startAsked(t, f)
	for _, source := range []string{"config", "jwks", "policies"} {
		sample := fmt.Sprintf("meshpass_reload_last_look_timestamp_seconds{source=%q} ", source)
		first := a.sample(t, sample)
		eventually(t, source+" is not looked at again", func() bool { return a.sample(t, sample) != first })
	}
	if text := body(t, a.ops()+"/status"); strings.Count(text, `"looked":"`) != 3 {
		t.Errorf("got %s", text)
	}
}

func (a asked) sample(t *testing.T, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(body(t, a.ops()+"/metrics"), name)
	if !found {
		t.Fatalf("no %s", name)
	}
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// One mistake must not keep a key active: not one in another section of the
// configuration, nor one in another key file. Without the fix the leaked key holds
// until the mistake is found.
func TestAKeyIsWithdrawnWhateverElseIsWrong(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	f := newTrusting(t, oneListener, entry(east, "east.json"), entry(west, "west.json"))
	f.write("east.json", east.jwks(t))
	f.write("west.json", west.jwks(t))
	a := startAsked(t, f)
	fromEast, fromWest := east.claim(t, unchanged), west.claim(t, unchanged)
	a.eventually(t, fromEast, "rule_allowed")

	f.trusting(oneListener+"cache: {verifeidTokens: 1}\n", entry(east, "east.json"), entry(west, "west.json"))
	a.metric(t, `meshpass_reload_current{source="config"} 0`)
	f.write("west.json", "half: [")
	a.metric(t, `meshpass_reload_current{source="jwks"} 0`)
	f.write("east.json", newFleet(t, "east").jwks(t))
	a.eventually(t, fromEast, "kid_unknown")
	if got := a.reasonFor(t, fromWest); got != "rule_allowed" {
		t.Errorf("the keys of the broken file: %s", got)
	}
	for _, want := range []string{"config: active since", "verifeidTokens", "west.json: key set"} {
		if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, want) {
			t.Errorf("readyz has no %s: %s", want, text)
		}
	}
	f.write("west.json", newFleet(t, "west").jwks(t))
	a.eventually(t, fromWest, "kid_unknown")
	a.metric(t, `meshpass_reload_current{source="jwks"} 1`)
	f.trusting(oneListener, entry(east, "east.json"), entry(west, "west.json"))
	a.metric(t, `meshpass_reload_current{source="config"} 1`)
}

// The configuration may even be gone: key files and revocations are followed.
func TestTheConfigurationIsGone(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies}]}\nrevocation: {file: revoked.yaml}")
	f.write("policies/orders.yaml", document("orders", all))
	f.write("revoked.yaml", "revocations: []\n")
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	if err := os.Remove(f.config); err != nil {
		t.Fatal(err)
	}
	a.metric(t, `meshpass_reload_current{source="config"} 0`)
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
	eventually(t, "not revoked", func() bool { return a.logged("revocations reloaded") > 0 })
	f.write("jwks.json", otherKeys(t))
	a.answers(t, "other keys", "orders: kid_unknown")
	f.write("jwks.json", string(tokentest.JWKS(t)))
	a.answers(t, "back", "orders: token_revoked")
}

func TestNamesOfFolders(t *testing.T) {
	for name, row := range map[string]struct{ dirs, want string }{
		"the default":              {"[{path: a/policies}, {path: b/policies}]", `policies.dirs[1]: two folders are named "policies"`},
		"a name of two":            {"[{path: a/policies, name: x}, {path: b/policies, name: x}]", `policies.dirs[1]: two folders are named "x"`},
		"no name":                  {"[{path: a/policies, name: a/b}]", `policies.dirs[0].name: want letters, digits, dots, _ and -, at most 63, not "a/b"`},
		"empty":                    {"[{path: a/policies, name: ''}]", `policies.dirs[0].name: want letters, digits, dots, _ and -, at most 63, not ""`},
		"the same folder":          {"[{path: a/policies}, {path: a/../a/policies, name: x}]", "are one folder, or one is inside the other"},
		"inside a guardrail":       {"[{path: a, guardrail: true}, {path: a/policies, mayTarget: [ns/a/sa/*]}]", "are one folder, or one is inside the other"},
		"around it":                {"[{path: a/policies}, {path: a, guardrail: true}]", "are one folder, or one is inside the other"},
		"one by a link":            {"[{path: a/policies}, {path: link}]", "are one folder, or one is inside the other"},
		"names that tell, and all": {"[{path: a/policies}, {path: b/policies, name: b}]", ""},
	} {
		f := withPolicies(t, "{dirs: "+row.dirs+"}")
		for _, dir := range []string{"a", "b"} {
			if err := os.MkdirAll(f.at(dir+"/policies"), 0o700); err != nil {
				t.Fatal(err)
			}
			f.write(dir+"/policies/orders.yaml", document("orders", all))
		}
		if err := os.Symlink(f.at("a"), f.at("link")); err != nil {
			t.Fatal(err)
		}
		_, err := loadAuthorizer(process(f.config))
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: got %v, want %s", name, err, row.want)
		}
	}
}

// A team's folder before the guardrails, with a document of the guardrail's name.
func TestAGuardrailCannotBeSquatted(t *testing.T) {
	f := withPolicies(t, "{dirs: [{path: policies, mayTarget: [ns/shop/sa/*]}, {path: guardrails, guardrail: true}]}")
	if err := os.Mkdir(f.at("guardrails"), 0o700); err != nil {
		t.Fatal(err)
	}
	squat := strings.Replace(document("blog", all), "name: blog", "name: guardrail", 1)
	guardrail := strings.Replace(document("orders", all), "name: orders", "name: guardrail", 1)
	f.write("policies/orders.yaml", document("orders", all))
	f.write("guardrails/guardrail.yaml", guardrail)
	a := startAsked(t, f)
	a.answers(t, "start", "orders: rule_allowed all")
	f.write("policies/blog.yaml", squat)
	a.answers(t, "squatted", "blog: rule_allowed all")
	f.write("guardrails/guardrail.yaml", strings.Replace(guardrail, all, none, 1))
	a.answers(t, "the guardrail is tightened", "orders: rule_denied none")
	if got := a.record(t, "orders"); got["policy"] != "guardrail" || got["folder"] != "guardrails" {
		t.Errorf("got %v", got)
	}
	b := startAsked(t, f)
	b.answers(t, "a cold start", "orders: rule_denied none", "blog: rule_allowed all", "stock: unguarded")
}

// A file that takes another home entry's key is a mistake that holds back no third
// file, and a key may move from one file to another in one step.
func TestAKeyThatTwoFilesHave(t *testing.T) {
	east, west, north := newFleet(t, "east"), newFleet(t, "west"), newFleet(t, "north")
	f := newTrusting(t, oneListener, entry(east, "east.json"), entry(west, "west.json"), entry(north, "north.json"))
	f.write("east.json", east.jwks(t))
	f.write("west.json", west.jwks(t))
	f.write("north.json", north.jwks(t))
	a := startAsked(t, f)
	fromEast, fromWest, fromNorth := east.claim(t, unchanged), west.claim(t, unchanged), north.claim(t, unchanged)
	a.eventually(t, fromNorth, "rule_allowed")
	f.write("east.json", west.jwks(t))
	a.metric(t, `meshpass_reload_current{source="jwks"} 0`)
	f.write("north.json", newFleet(t, "north").jwks(t))
	a.eventually(t, fromNorth, "kid_unknown")
	for name, raw := range map[string]string{"east": fromEast, "west": fromWest} {
		if got := a.reasonFor(t, raw); got != "rule_allowed" {
			t.Errorf("%s: got %s", name, got)
		}
	}
	f.write("west.json", newFleet(t, "west").jwks(t))
	a.eventually(t, fromWest, "kid_unknown")
	a.eventually(t, fromEast, "kid_unknown") // the key is east's now, which signs with another one
	a.metric(t, `meshpass_reload_current{source="jwks"} 1`)
}

// A file that a changed configuration names for the first time, and that breaks before
// it is read again, keeps the keys with which the configuration was accepted.
func TestANewKeyFileThatBreaksAtOnce(t *testing.T) {
	east, west := newFleet(t, "east"), newFleet(t, "west")
	f := newTrusting(t, oneListener, entry(east, "east.json"))
	f.write("east.json", east.jwks(t))
	f.write("west.json", west.jwks(t))
	a, err := loadAuthorizer(process(f.config))
	if err != nil {
		t.Fatal(err)
	}
	if err := a.registry.Apply(t.Context(), a.trust.issuers.Get().entries); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.registry.Close)
	f.trusting(oneListener, entry(east, "east.json"), entry(west, "west.json"))
	a.trust.section.Poll()
	f.write("west.json", "half: [")
	f.write("east.json", newFleet(t, "east").jwks(t))
	a.trust.issuers.Poll()
	if err := a.trust.issuers.Err(); err != nil {
		t.Fatalf("the other file waits: %v", err)
	}
	if got := a.trust.issuers.Get(); len(got.entries) != 2 || got.entries[1].Trust.Keys == nil || len(got.faults) != 1 {
		t.Errorf("got %+v", got)
	}
}
