package app

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	redisserver "github.com/alicebob/miniredis/v2/server"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/extauthz/internal/revocation/redislist"
	"github.com/meshpass/meshpass/extauthz/internal/status"
	"github.com/meshpass/meshpass/extauthz/internal/testhelp/redistest"
	"github.com/meshpass/meshpass/internal/strictyaml"
	"github.com/meshpass/meshpass/internal/tokentest"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
	"github.com/meshpass/meshpass/shared/token"
)

const revocationFile = oneListener + "revocation: {file: revoked.yaml}"

// withdrawing is a list with one entry.
func withdrawing(t *testing.T, kind revocation.Kind, value string) string {
	t.Helper()
	e := revocation.Entry{Issuer: tokentest.Issuer, Kind: kind, Value: value, Expires: time.Now().Add(time.Hour)}
	if kind == revocation.Sub || kind == revocation.SID {
		e.NotBefore = time.Now().Add(time.Minute)
	}
	list, _, err := new(revocation.List).WithEntries(time.Now(), e)
	if err != nil {
		t.Fatal(err)
	}
	return string(list.Document())
}

// Every kind takes effect on tokens that were accepted before, is lifted with its
// entry, and stays while the file cannot be used.
func TestRevocationsTakeEffect(t *testing.T) {
	f := newFiles(t, revocationFile)
	f.write("revoked.yaml", "revocations: []")
	a := startAsked(t, f)
	const allowed, revoked, reloaded = "rule_allowed read-own-tenant", "token_revoked", "revocations reloaded"
	kid := tokentest.ValidParts(t, time.Now()).Header["kid"].(string)
	for _, step := range []struct{ list, message, reason string }{
		{withdrawing(t, revocation.Sub, "idp:alice"), reloaded, revoked},
		{"revocations: [{", refusedMessage, revoked},
		{withdrawing(t, revocation.Sub, "idp:bob"), reloaded, allowed},
		{withdrawing(t, revocation.SID, "test-sid"), reloaded, revoked},
		{"serial: 9\nrevocations: []", reloaded, allowed},
		{withdrawing(t, revocation.KID, kid), reloaded, revoked},
		{"serial: 10\nrevocations: []", reloaded, allowed},
		{withdrawing(t, revocation.Txn, tokentest.Identity().Txn), reloaded, revoked},
	} {
		before := a.logged(step.message)
		f.write("revoked.yaml", step.list)
		eventually(t, "not looked at: "+step.list, func() bool { return a.logged(step.message) > before })
		if got := a.reason(t); got != step.reason {
			t.Errorf("%s: got %s, want %s", step.list, got, step.reason)
		}
	}
	metrics := body(t, a.ops()+"/metrics")
	for _, line := range []string{`meshpass_revocations{source="file"} 1`, `meshpass_reload_current{source="revocations"} 1`} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in\n%s", line, metrics)
		}
	}
}

func TestNoListOfRevocationsNoStart(t *testing.T) {
	f := newFiles(t, revocationFile)
	if _, err := loadAuthorizer(process(f.config)); err == nil || !strings.Contains(err.Error(), "revocation.file: ") {
		t.Errorf("got %v", err)
	}
	f.write("revoked.yaml", "revocations: [{kind: txn}]")
	if _, err := loadAuthorizer(process(f.config)); err == nil || !strings.Contains(err.Error(), "revoked.yaml:1:15: entry 1: issuer: want") {
		t.Errorf("got %v", err)
	}
}

// `meshpass token verify` uses the file too.
func TestVerifierOfAFileWithRevocations(t *testing.T) {
	f := newFiles(t, revocationFile)
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
	v, err := NewVerifier(f.config, time.Now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(tokentest.ValidToken(t, time.Now())); token.ReasonOf(err) != decision.TokenRevoked {
		t.Errorf("got %v", err)
	}
}

// startWithRedis is an authorizer with a file and a Redis, and a policy for outages.
func startWithRedis(t *testing.T, settings, onOutage string, now func() time.Time) (asked, files, *miniredis.Miniredis) {
	t.Helper()
	server := redistest.StartServer(t)
	f := newFiles(t, oneListener+"revocation: {file: revoked.yaml, redis: {address: \""+server.Addr()+"\"}"+settings+"}")
	f.write("revoked.yaml", "revocations: []")
	f.write("policies/orders.yaml", strings.Replace(allowing("read-own-tenant"), "targets:", "onOutage: "+onOutage+"\n  targets:", 1))
	if err := server.Set(redislist.DefaultKey, "serial: 1\nrevocations: []"); err != nil {
		t.Fatal(err)
	}
	r := start(t, f.config, quickly, func(p *Process) { p.Now = now })
	return asked{r, auth.NewAuthorizationClient(dial(t, r.addresses()[0]))}, f, server
}

// Both lists count, Redis within a poll; neither lifts what the other has.
func TestRevocationsInRedis(t *testing.T) {
	a, f, server := startWithRedis(t, "", "deny", time.Now)
	const allowed, revoked = "rule_allowed read-own-tenant", "token_revoked"
	alice, bob := withdrawing(t, revocation.Sub, "idp:alice"), withdrawing(t, revocation.Sub, "idp:bob")
	inRedis := func(serial int, document string) func() {
		return func() {
			_, entries, _ := strings.Cut(document, "\n")
			_ = server.Set(redislist.DefaultKey, fmt.Sprintf("serial: %d\n%s", serial, entries))
		}
	}
	for _, step := range []struct {
		name, want string
		change     func()
		await      string
	}{
		{"in Redis", revoked, inRedis(2, alice), "revocations reloaded"},
		{"wiped", revoked, server.FlushAll, refusedMessage},
		{"lifted in Redis", allowed, inRedis(3, bob), "revocations reloaded"},
		{"in the file", revoked, func() { f.write("revoked.yaml", alice) }, "revocations reloaded"},
		{"Redis knows of nobody", revoked, inRedis(4, "serial: 1\nrevocations: []"), "revocations reloaded"},
	} {
		before := a.logged(step.await)
		step.change()
		eventually(t, step.name+": nothing happens", func() bool { return a.logged(step.await) > before })
		if got := a.reason(t); got != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got, step.want)
		}
	}
	metrics := body(t, a.ops()+"/metrics")
	for _, line := range []string{
		`meshpass_revocations{source="redis"} 0`, `meshpass_revocations{source="file"} 1`,
		`meshpass_revocations_serial{source="redis"} 4`, `meshpass_reload_current{source="revocations/redis"} 1`,
		`meshpass_reload_failures_total{source="revocations/redis"} 1`,
	} {
		if !strings.Contains(metrics, line+"\n") {
			t.Errorf("no %s in\n%s", line, metrics)
		}
	}
}

// A Redis that is lost for longer than maxStale is an outage where the file says
// so, which a policy may forgive; what is known to be revoked stays refused.
func TestStaleRevocations(t *testing.T) {
	for _, row := range []struct{ settings, onOutage, want string }{
		{", onStale: deny", "deny", "revocation_stale"},
		{", onStale: deny", "allow", "allowed_on_outage read-own-tenant"},
		{", onStale: allow", "deny", "rule_allowed read-own-tenant"},
		{"", "deny", "rule_allowed read-own-tenant"},
	} {
		var late atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
		a, f, server := startWithRedis(t, row.settings, row.onOutage, now)
		const before = "rule_allowed read-own-tenant"
		if got := a.reason(t); got != before {
			t.Fatalf("before: %s", got)
		}
		server.SetError("LOADING")
		a.await(t, refusedMessage)
		if got := a.reason(t); got != before {
			t.Errorf("%s: at once: %s", row.settings, got)
		}
		late.Store(int64(40 * time.Second)) // the token is good for a minute, the list for 30 s
		if got := a.reason(t); got != row.want {
			t.Errorf("%s, onOutage %s: got %s, want %s", row.settings, row.onOutage, got, row.want)
		}
		f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
		a.await(t, "revocations reloaded")
		eventually(t, "not refused", func() bool { return a.reason(t) == "token_revoked" })
	}
}

// What no honest writer does is an alarm, and a list from the future is rejected: the
// one before stays, and its age grows until onStale decides.
func TestAlarmsOfTheFile(t *testing.T) {
	var late atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	f := newFiles(t, oneListener+"revocation: {file: revoked.yaml, onStale: deny}")
	f.write("policies/orders.yaml", allowing("read-own-tenant"))
	alice := withdrawing(t, revocation.Sub, "idp:alice")
	f.write("revoked.yaml", alice)
	r := start(t, f.config, quickly, func(p *Process) { p.Now = now })
	a := asked{r, auth.NewAuthorizationClient(dial(t, r.addresses()[0]))}
	eventually(t, "not revoked", func() bool { return a.reason(t) == "token_revoked" })

	f.write("revoked.yaml", "serial: 7\nrevocations: []")
	eventually(t, "not lifted", func() bool { return a.reason(t) == "rule_allowed read-own-tenant" })
	serial, _, _ := strings.Cut(strings.TrimPrefix(alice, "serial: "), "\n")
	alarms := []string{"the list is older than the one before: serial 7 after " + serial, "1 entries vanished before they expire: sub idp:alice of " + tokentest.Issuer}
	for _, alarm := range alarms {
		if !strings.Contains(body(t, a.ops()+"/readyz"), "revocations in file: "+alarm) || !strings.Contains(a.log.String(), `"msg":"revocations: `+alarm) {
			t.Errorf("no alarm: %s\n%s", alarm, body(t, a.ops()+"/readyz"))
		}
	}
	has := func(lines ...string) {
		t.Helper()
		metrics := body(t, a.ops()+"/metrics")
		for _, line := range lines {
			if !strings.Contains(metrics, "\n"+line) {
				t.Errorf("no %s in\n%s", line, metrics)
			}
		}
	}
	has(`meshpass_revocations_older{source="file"} 1`, `meshpass_revocations_vanished_total{source="file"} 1`, `meshpass_revocations_age_seconds{source="file"} 0`)
	f.write("revoked.yaml", alice)
	eventually(t, "not revoked again", func() bool { return a.reason(t) == "token_revoked" })
	has(`meshpass_revocations_older{source="file"} 0`, `meshpass_reload_current{source="revocations"} 1`)
	if text := body(t, a.ops()+"/readyz"); strings.Contains(text, "revocations in file") {
		t.Errorf("still an alarm: %s", text)
	}

	f.write("revoked.yaml", "serial: 9007199254740992\nrevocations: []")
	a.await(t, refusedMessage)
	if got := a.reason(t); got != "token_revoked" {
		t.Errorf("after a list from the future: %s", got)
	}
	if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, "the writer of the list has a wrong clock, or this machine has") {
		t.Errorf("readyz: %s", text)
	}
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:bob"))
	eventually(t, "not allowed again", func() bool { return a.reason(t) == "rule_allowed read-own-tenant" })
	// A half-written file is refused too, with another message: what counts is one message more.
	before := a.logged(refusedMessage)
	f.write("revoked.yaml", "serial: 9007199254740992\nrevocations: []")
	eventually(t, "not refused", func() bool { return a.logged(refusedMessage) > before })
	late.Store(int64(40 * time.Second))
	if got := a.reason(t); got != "revocation_stale" {
		t.Errorf("40 s later: %s", got)
	}
}

// Entries of issuers that are not trusted are a warning, and no finding: clusters share
// a list.
func TestRevocationsOfUnknownIssuers(t *testing.T) {
	f := newFiles(t, revocationFile)
	f.write("revoked.yaml", strings.ReplaceAll(withdrawing(t, revocation.Sub, "idp:alice"), tokentest.Issuer, "https://typo.example"))
	a := startAsked(t, f)
	const message = "revocations of issuers that are not trusted refuse nothing here"
	eventually(t, "no warning", func() bool { return a.logged(message) == 1 })
	if text := body(t, a.ops()+"/readyz"); !strings.Contains(text, "revocations in file: 1 entries have no effect here, because their issuers are not trusted: https://typo.example") {
		t.Errorf("readyz: %s", text)
	}
	replicas := status.AskReplicas(t.Context(), http.DefaultClient, []string{a.ops()})
	var text strings.Builder
	replicas[0].Print(&text, time.Now())
	if len(replicas[0].Findings) > 0 || !strings.Contains(text.String(), "warning      revocations in file: 1 entries have no effect here") {
		t.Errorf("status: %s", text.String())
	}
	f.write("revoked.yaml", withdrawing(t, revocation.Sub, "idp:alice"))
	eventually(t, "not revoked", func() bool { return a.reason(t) == "token_revoked" })
	if text := body(t, a.ops()+"/readyz"); strings.Contains(text, "have no effect") || a.logged(message) != 1 {
		t.Errorf("readyz: %s", text)
	}
}

// A Redis that is cut off from its primary is stale, not fresh; one whose role may not be
// asked for does not start.
func TestARedisWithoutAPrimary(t *testing.T) {
	var late atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
	a, f, m := startWithRedis(t, ", onStale: deny", "deny", now)
	m.Server().SetPreHook(func(c *redisserver.Peer, cmd string, _ ...string) bool {
		if !strings.EqualFold(cmd, "ROLE") {
			return false
		}
		c.WriteLen(5)
		for _, part := range []string{"slave", "127.0.0.1", "6379", "connect", "-1"} {
			c.WriteBulk(part)
		}
		return true
	})
	a.await(t, refusedMessage)
	late.Store(int64(40 * time.Second))
	if got := a.reason(t); got != "revocation_stale" {
		t.Errorf("got %s", got)
	}
	m.Server().SetPreHook(func(c *redisserver.Peer, cmd string, _ ...string) bool {
		if strings.EqualFold(cmd, "ROLE") {
			c.WriteError("NOPERM this user has no permissions to run the 'role' command")
			return true
		}
		return false
	})
	if _, err := loadAuthorizer(process(f.config)); err == nil || !strings.Contains(err.Error(), "run ACL SETUSER default +role") {
		t.Errorf("got %v", err)
	}
}

// What cannot be loaded at the start is no change, and nothing was active before it.
func TestRedisIsAwayAtTheStart(t *testing.T) {
	taken := listen(t)
	address := taken.Addr().String()
	release(t, taken)
	f := newFiles(t, oneListener+"revocation: {redis: {address: \""+address+"\"}}")
	r := start(t, f.config)
	first, _, _ := strings.Cut(r.log.String(), "\n")
	if !strings.Contains(first, `"msg":"not loaded at the start; it is tried again","source":"revocations/redis","problems":[`) {
		t.Errorf("the first line is %s", first)
	}
	if n := r.logged("change rejected, the last good state stays active"); n > 0 {
		t.Errorf("%d changes refused in\n%s", n, r.log.String())
	}
}

// A file that hangs, as at a network mount whose server is away, may hold another list:
// it is as stale as one that is rejected.
func TestAListThatHangsIsStale(t *testing.T) {
	f := newFiles(t, oneListener+"revocation: {file: revoked.yaml, onStale: deny}")
	f.write("policies/orders.yaml", allowing("read-own-tenant"))
	f.write("revoked.yaml", "revocations: []")
	a, err := loadAuthorizer(Process{ConfigFile: f.config, Log: slog.New(slog.DiscardHandler), Now: time.Now, Stdout: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer a.audit.close()
	checker := a.revoked.checker(a.config.Revocation)
	if age := a.revoked.file.age(time.Now()); age != 0 || checker.Stale(time.Now()) {
		t.Errorf("at the start: age %s", age)
	}
	a.revoked.file.source = hanging{}
	if age := a.revoked.file.age(time.Now()); age < time.Hour || !checker.Stale(time.Now()) {
		t.Errorf("while it hangs: age %s", age)
	}
}

// One file may hold the password and the CA: neither of the two settings is lost.
func TestRedisFilesMayBeOne(t *testing.T) {
	file, err := strictyaml.NewChecker("/etc/meshpass/meshpass.yaml", []byte("revocation: {}"), new(config))
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ password, ca, wantPassword, wantCA string }{
		{"redis", "redis", "/etc/meshpass/redis", "/etc/meshpass/redis"},
		{"password", "ca.pem", "/etc/meshpass/password", "/etc/meshpass/ca.pem"},
		{"/secret/password", "", "/secret/password", ""},
		{"", "", "", ""},
	} {
		got := redisConfig{PasswordFile: row.password, CAFile: row.ca}.connectionConfig(file)
		if got.PasswordFile != row.wantPassword || got.CAFile != row.wantCA {
			t.Errorf("%s, %s: got %s, %s", row.password, row.ca, got.PasswordFile, got.CAFile)
		}
	}
}
