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

	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/decision"
	policysource "github.com/meshpass/meshpass/shared/policy/source"
	"github.com/meshpass/meshpass/shared/revocation"
)

const brokenRule = "name: none, effect: maybe"

// withAllSources is a gateway with a file for each source.
func withAllSources(t *testing.T, enforce bool) *rig {
	t.Helper()
	p := startEdge(t, enforce, map[string]string{"key.yaml": edgeDocument("edge-key", "orders-key", ownTenant)})
	p.writeFile(t, "revoked.yaml", "revocations: []")
	writeChainKey(t, p, 1)
	replaceIn(t, p, "audit: {output: stderr}", "revocation: {file: revoked.yaml}\naudit: {output: stderr, chain: {key: chain.pem}}")
	p.checkOnce()
	return p
}

// While other files have faults, a key that was withdrawn does not sign, and a revoked caller gets no token.
// Without the fix both wait until the fault is fixed, also where the documents of the edge are not
// enforced.
func TestNothingHoldsBackKeysAndRevocations(t *testing.T) {
	for name, breaks := range map[string]func(t *testing.T, p *rig){
		"a document": func(t *testing.T, p *rig) {
			p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
		},
		"half a document":   func(t *testing.T, p *rig) { p.writeFile(t, "edge/key.yaml", "half: [") },
		"no document":       func(t *testing.T, p *rig) { removeFile(t, p, "edge") },
		"the configuration": func(t *testing.T, p *rig) { replaceIn(t, p, "lifetime: 60s", "lifetime: soon") },
		"an issuer that fits into no token": func(t *testing.T, p *rig) {
			replaceIn(t, p, "issuer: https://tyk", "issuer: https://"+strings.Repeat("tyk", 1<<12))
		},
		"no configuration":     func(t *testing.T, p *rig) { removeFile(t, p, "meshpass.yaml") },
		"the secret":           func(t *testing.T, p *rig) { p.writeFile(t, "secret", "short") },
		"the key of the chain": func(t *testing.T, p *rig) { p.writeFile(t, "chain.pem", "short") },
		"a pipe for the secret": func(t *testing.T, p *rig) {
			removeFile(t, p, "secret")
			requireNoError(t, syscall.Mkfifo(p.dir+"/secret", 0o600))
		},
		"absent folder of keys": func(t *testing.T, p *rig) { replaceIn(t, p, p.dir+"/keys", p.dir+"/absent") },
	} {
		for _, enforce := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", enforce), func(t *testing.T) {
				p := withAllSources(t, enforce)
				before := p.issueToken(t)
				breaks(t, p)
				p.checkOnce()
				if p.issueToken(t) != before {
					t.Error("the mistake alone changes something")
				}
				next := t.TempDir()
				kid := newKey(t, next, time.Now().Add(-time.Minute), time.Now().Add(time.Hour))
				removeFile(t, p, "keys")
				copyDir(t, p.dir+"/keys", next)
				p.checkOnce()
				if got := p.issueToken(t); got.kid != kid {
					t.Errorf("signed with %s, want the new key %s; log: %s", got.kid, kid, &p.log)
				}
				p.writeFile(t, "revoked.yaml", revocationText(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute)))
				p.checkOnce()
				r := keyCall().request()
				requireDenied(t, p, r, p.callSignAndGuard(r), http.StatusUnauthorized, decision.TokenRevoked)
			})
		}
	}
}

// The fault of a source is shown at that source alone.
func TestASlipIsShownAtItsSource(t *testing.T) {
	p := withAllSources(t, false)
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
	p.checkOnce()
	for _, s := range sources {
		want := map[bool]string{true: "0", false: "1"}[s == policiesSource]
		p.requireSamples(t, map[string]string{fmt.Sprintf(`meshpass_reload_current{source="%s"}`, s): want})
	}
}

// A gateway that starts with an invalid document signs all the same. If the documents are enforced, the
// targets of that document are denied.
func TestAStartWithADocumentThatIsWrong(t *testing.T) {
	for _, enforce := range []bool{false, true} {
		p := withAllSources(t, enforce)
		p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", brokenRule))
		p.restart(t)
		other := jwtCall().request()
		requireSigned(t, p, other, p.callSignAndGuard(other))
		r := keyCall().request()
		if rw := p.callSignAndGuard(r); enforce {
			requireDenied(t, p, r, rw, http.StatusServiceUnavailable, decision.PolicyRefused)
		} else {
			requireSigned(t, p, r, rw)
		}
	}
}

// Any files may be beside keys and documents. Without the fix the start never ends.
func TestOddFilesBesideKeysAndDocuments(t *testing.T) {
	p := withAllSources(t, true)
	for _, dir := range []string{"keys", "edge"} {
		at := func(name string) string { return filepath.Join(p.dir, dir, name) }
		requireNoError(t, syscall.Mkfifo(at("pipe"), 0o600))
		requireNoError(t, os.Symlink("absent", at("dangling")))
		requireNoError(t, os.Mkdir(at("lost+found"), 0))
		requireNoError(t, os.WriteFile(at("notes.txt"), nil, 0o600))
		requireNoError(t, os.Truncate(at("notes.txt"), 1<<40)) // holes, which take no space
	}
	requireNoError(t, syscall.Mkfifo(filepath.Join(p.dir, "keys", "stray.pem"), 0o600))
	p.log.Reset()
	p.restart(t)
	p.issueToken(t)
	p.writeFile(t, "edge/key.yaml", edgeDocument("edge-key", "orders-key", "name: none, effect: deny, to: {paths: ['/**']}"))
	p.checkOnce()
	r := keyCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), http.StatusForbidden, decision.RuleDenied)
	if strings.Contains(p.log.String(), "rejected") {
		t.Errorf("log: %s", &p.log)
	}
}

// While a file hangs, its age grows, and all others are followed.
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
	p.writeFile(t, "revoked.yaml", revocationText(t, revocation.Sub, "key:partner-7", time.Now().Add(time.Minute)))
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

// Names are unique in a folder, so two teams cannot take the names of each other's documents.
func TestFoldersOfTheEdge(t *testing.T) {
	p := startEdge(t, true, map[string]string{"key.yaml": edgeDocument("p", "orders-key", ownTenant)})
	requireNoError(t, os.Mkdir(filepath.Join(p.dir, "team"), 0o700))
	p.writeFile(t, "team/p.yaml", edgeDocument("p", "orders-jwt", "name: none, effect: deny, to: {paths: ['/**']}"))
	replaceIn(t, p, "[{path: edge}]", "[{path: edge}, {path: team, name: jwt-team}]")
	p.checkOnce()
	p.issueToken(t)
	p.audit.TakeRecords()
	r := jwtCall().request()
	requireDenied(t, p, r, p.callSignAndGuard(r), http.StatusForbidden, decision.RuleDenied)
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
