package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/plugins/identity/settings"
	"github.com/meshpass/meshpass/shared/decision"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
)

const brokenRule = "name: none, effect: maybe"

// withAllSources is a gateway with a file for each source.
func withAllSources(t *testing.T, enforce bool) *rig {
	t.Helper()
	p := startEdge(t, enforce, map[string]string{"key.yaml": edgeDocument("edge-key", "orders-key", ownTenant)})
	p.write(t, "revoked.yaml", "revocations: []")
	replaceIn(t, p, "audit:", "revocation: {file: revoked.yaml}\naudit:")
	p.look()
	return p
}

// Whatever else is wrong, a key that is withdrawn signs no more, and who is revoked
// gets no token. Without the fix both wait until the slip is found, also where the
// documents of the edge only watch.
func TestNothingHoldsBackKeysAndRevocations(t *testing.T) {
	for name, breaks := range map[string]func(t *testing.T, p *rig){
		"a document": func(t *testing.T, p *rig) {
			p.write(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
		},
		"half a document":   func(t *testing.T, p *rig) { p.write(t, "edge/key.yaml", "half: [") },
		"no document":       func(t *testing.T, p *rig) { remove(t, p, "edge") },
		"the configuration": func(t *testing.T, p *rig) { replaceIn(t, p, "lifetime: 60s", "lifetime: soon") },
		"an issuer that fits into no token": func(t *testing.T, p *rig) {
			replaceIn(t, p, "issuer: https://tyk", "issuer: https://"+strings.Repeat("tyk", 1<<12))
		},
		"no configuration":      func(t *testing.T, p *rig) { remove(t, p, "meshpass.yaml") },
		"the secret":            func(t *testing.T, p *rig) { p.write(t, "secret", "short") },
		"a pipe for the secret": func(t *testing.T, p *rig) { remove(t, p, "secret"); must(t, syscall.Mkfifo(p.dir+"/secret", 0o600)) },
		"absent folder of keys": func(t *testing.T, p *rig) { replaceIn(t, p, p.dir+"/keys", p.dir+"/absent") },
	} {
		for _, enforce := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", enforce), func(t *testing.T) {
				p := withAllSources(t, enforce)
				before := p.issued(t)
				breaks(t, p)
				p.look()
				if p.issued(t) != before {
					t.Error("the slip alone changes something")
				}
				next := t.TempDir()
				kid := newKey(t, next, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
				remove(t, p, "keys")
				copyDir(t, p.dir+"/keys", next)
				p.look()
				if got := p.issued(t); got.kid != kid {
					t.Errorf("signed with %s, want the new key %s; log: %s", got.kid, kid, &p.log)
				}
				p.write(t, "revoked.yaml", listed(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute)))
				p.look()
				r := keyCall().request()
				refused(t, p, r, p.sign(r), http.StatusUnauthorized, decision.TokenRevoked)
			})
		}
	}
}

// What is wrong with one source is shown at that source alone.
func TestASlipIsShownAtItsSource(t *testing.T) {
	p := withAllSources(t, false)
	p.write(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
	p.look()
	for _, s := range sources {
		want := map[bool]string{true: "0", false: "1"}[s == policiesSource]
		p.has(t, map[string]string{fmt.Sprintf(`meshpass_reload_current{source="%s"}`, s): want})
	}
}

// A gateway that starts with a document that is wrong signs all the same; where the
// documents are enforced, what that one targets is denied.
func TestAStartWithADocumentThatIsWrong(t *testing.T) {
	for _, enforce := range []bool{false, true} {
		p := withAllSources(t, enforce)
		p.write(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
		p.load(t)
		other := jwtCall().request()
		signed(t, p, other, p.sign(other))
		r := keyCall().request()
		if rw := p.sign(r); enforce {
			refused(t, p, r, rw, http.StatusServiceUnavailable, decision.PolicyRefused)
		} else {
			signed(t, p, r, rw)
		}
	}
}

// Beside keys and documents may lie anything. Without the fix the start never ends.
func TestOddFilesBesideKeysAndDocuments(t *testing.T) {
	p := withAllSources(t, true)
	for _, dir := range []string{"keys", "edge"} {
		at := func(name string) string { return filepath.Join(p.dir, dir, name) }
		must(t, syscall.Mkfifo(at("pipe"), 0o600))
		must(t, os.Symlink("absent", at("dangling")))
		must(t, os.Mkdir(at("lost+found"), 0))
		must(t, os.WriteFile(at("notes.txt"), nil, 0o600))
		must(t, os.Truncate(at("notes.txt"), 1<<40)) // holes, which take no space
	}
	must(t, syscall.Mkfifo(filepath.Join(p.dir, "keys", "stray.pem"), 0o600))
	p.log.Reset()
	p.load(t)
	p.issued(t)
	p.write(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", "name: none, effect: deny, to: {paths: ['/**']}"))
	p.look()
	r := keyCall().request()
	refused(t, p, r, p.sign(r), http.StatusForbidden, decision.RuleDenied)
	if strings.Contains(p.log.String(), "rejected") {
		t.Errorf("log: %s", &p.log)
	}
}

// A file that hangs is left alone: its age grows, and all others are followed.
func TestAFileThatHangs(t *testing.T) {
	p := withAllSources(t, false)
	hang, hangs := make(chan struct{}), make(chan struct{})
	defer close(hang)
	loads := 0
	stuck := followFiles(nil, func() (policysource.Loaded, error) {
		if loads++; loads > 1 {
			close(hangs)
			<-hang
		}
		return p.watch.active.policies.Get(), nil
	})
	stuck.Poll()
	p.watch.active.policies = stuck
	before := stuck.Looked()
	stuck.LoadAgain()
	p.watch.patience = time.Millisecond
	p.watch.checkFiles()
	<-hangs
	p.write(t, "revoked.yaml", listed(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute)))
	for deadline := time.Now().Add(20 * time.Second); p.watch.signer.Load().revoked.Len() == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the revocation waits")
		}
		p.watch.checkFiles()
	}
	looked := p.samples(t)[`meshpass_reload_last_look_timestamp_seconds{source="policies"}`]
	if want := fmt.Sprint(float64(before.UnixMilli()) / 1000); !stuck.Looked().Equal(before) || looked != want {
		t.Errorf("looked at %s, want %s", looked, want)
	}
}

var _ part = (*reload.Value[int])(nil)

// Names are unique in a folder, so two teams of the edge cannot stand in each other's way.
func TestFoldersOfTheEdge(t *testing.T) {
	p := startEdge(t, true, map[string]string{"key.yaml": edgeDocument("p", "orders-key", ownTenant)})
	must(t, os.Mkdir(filepath.Join(p.dir, "team"), 0o700))
	p.write(t, "team/p.yaml", edgeDocument("p", "orders-jwt", "name: none, effect: deny, to: {paths: ['/**']}"))
	replaceIn(t, p, "[{path: edge}]", "[{path: edge}, {path: team, name: jwt-team}]")
	p.look()
	p.issued(t)
	p.audit.Take()
	r := jwtCall().request()
	refused(t, p, r, p.sign(r), http.StatusForbidden, decision.RuleDenied)
	if got := p.records(t)[0]; got["policy"] != "p" || got["folder"] != "jwt-team" {
		t.Errorf("got %v", got)
	}
	for folders, want := range map[string]string{
		"[{path: edge}, {path: team, name: edge}]":    `two folders are named "edge"`,
		"[{path: edge}, {path: team, name: a/b}]":     `edge.policies[1].name: want letters, digits, dots, _ and -, at most 63, not "a/b"`,
		"[{path: edge}, {path: edge/., name: other}]": "are one folder, or one is inside the other",
	} {
		text := fmt.Sprintf("edge: {policies: %s}\n", folders)
		_, err := settings.Parse(filepath.Join(p.dir, "f.yaml"), []byte(text))
		if err == nil || !strings.Contains(err.Error(), "f.yaml:1:") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", folders, err)
		}
	}
}
