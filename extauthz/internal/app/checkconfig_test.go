package app

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/strictyaml"
)

func (f files) check(o CheckOptions) strictyaml.Findings {
	f.t.Helper()
	f.t.Chdir(filepath.Dir(f.config))
	data, err := os.ReadFile("meshpass.yaml")
	if err != nil {
		f.t.Fatal(err)
	}
	o.Now = time.Now
	return CheckConfig("meshpass.yaml", data, o)
}

func wantFindings(t *testing.T, name string, got strictyaml.Problems, want ...string) {
	t.Helper()
	if text := strings.Join(want, "\n"); got.Error() != text {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, text)
	}
}

// A check connects to nothing and writes nothing, also where a start would.
func TestACheckHasNoEffect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	connected := make(chan net.Conn)
	go func() {
		defer close(connected)
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connected <- c
		}
	}()
	address := listener.Addr().String()
	f := newFiles(t, `listeners: [{name: sidecar, grpc: "`+address+`", caller: principal, callee: principal}]`+`
ops: "`+address[:strings.LastIndexByte(address, ':')]+`:0"
revocation: {redis: {address: "`+address+`"}}
audit: {output: audit.jsonl}
tracing: {otlp: {endpoint: "`+address+`", insecure: true}}
insecure: {jwksOverHTTP: true}`)
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.write("meshpass.yaml", strings.Replace(string(text), "jwks: {file: jwks.json}", `jwks: {url: "http://`+address+`/jwks.json", seed: seed.json}, home: true`, 1))
	t.Chdir(filepath.Dir(f.config))
	before, err := filepath.Glob("*")
	if err != nil {
		t.Fatal(err)
	}
	found := f.check(CheckOptions{})
	after, err := filepath.Glob("*")
	if err != nil || !slices.Equal(before, after) {
		t.Errorf("files before: %v, after: %v, %v", before, after, err)
	}
	listener.Close()
	for c := range connected {
		t.Errorf("connected from %s", c.RemoteAddr())
	}
	wantFindings(t, "problems", found.Problems)
	wantFindings(t, "warnings", found.Warnings, "meshpass.yaml:6:26: insecure.jwksOverHTTP: anyone on the way to a key set that is fetched over plain http can sign for its issuer")
	wantFindings(t, "not checked", found.NotChecked,
		"meshpass.yaml:1:1: limits: whether they fit into the memory of the container: name it with --memory",
		"meshpass.yaml:1:12: listeners: whether their addresses are free on the authorizer's machine",
		"meshpass.yaml:3:21: revocation.redis: whether Redis answers, and with a valid list",
		`meshpass.yaml:8:92: trust[0].jwks.url: whether the key set can be fetched and is valid`)
}

// The warnings are those that the log of a start has.
func TestWarningsOfACheck(t *testing.T) {
	f := newFiles(t, `listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]`+"\nrevocation: {file: revoked.yaml}\ninsecure: {allowTestTokens: true}")
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	partner := `{issuer: "https://partner.test.meshpass.dev", audience: test.meshpass.dev, jwks: {file: both.json}}`
	f.write("meshpass.yaml", strings.NewReplacer("jwks.json}}]", "jwks.json}}, "+strings.Replace(partner, "both.json}", "both.json}, home: false", 1)+"]",
		"path: policies}]", "path: policies}], unguarded: shadow, overrides: overrides.yaml").Replace(string(text)))
	f.write("both.json", bothKeys(t))
	f.write("revoked.yaml", "serial: 1\nrevocations:\n  - {kind: sub, issuer: \"https://gone.test.meshpass.dev\", value: \"okta:alice\", notBefore: 2026-01-01T00:00:00Z, expires: 2100-01-01T00:00:00Z, reason: left, by: x}\n")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	f.write("overrides.yaml", "overrides: [{target: ns/shop/sa/orders, mode: shadow, until: "+until.Format(time.RFC3339)+", reason: drill, by: x}]")
	f.write("policies/wrong.yaml", strings.Replace(strings.Replace(allowing("other"), "name: orders", "name: wrong", 1), "effect:", "efect:", 1))
	found := f.check(CheckOptions{Memory: bytesize.MiB})
	wantFindings(t, "problems", found.Problems)
	const rejected = " (a start without --strict leaves this out, and denies everything that it targets)"
	wantFindings(t, "warnings", found.Warnings,
		"meshpass.yaml:1:1: limits: the limits together are above the memory limit: lower limits.connections, limits.inFlightBytes or cache.verifiedTokens, or give the container more memory (limits 235200KiB, memory 1MiB)",
		"meshpass.yaml:2:20: revocation.file: revocations of issuers that are not trusted refuse nothing here (source file, issuers [https://gone.test.meshpass.dev], entries 1)",
		"meshpass.yaml:3:29: insecure.allowTestTokens: anyone who has a key that is meant for tests can ask in the name of any user",
		"meshpass.yaml:5:8: trust: entries without subjects and requesters may name the users and gateways of all others: give each its own (issuers [https://tyk.test.meshpass.dev https://partner.test.meshpass.dev])",
		"meshpass.yaml:5:194: trust[1].jwks.file: a key of another issuer is in this key set: it is not used for this issuer, the rest of the set is (kid bSeaI3Tenq17hlxB0GAHKtdEAD7oUAe154dtpDCX-qI)",
		"meshpass.yaml:6:49: policies.unguarded shadow: anyone who can reach a workload that no document targets may call it",
		"meshpass.yaml:6:68: policies.overrides: an override lifts the policies of a target (target ns/shop/sa/orders, until "+until.String()+", by x, reason drill)",
		`policies/wrong.yaml:7:25: unknown key "efect" (did you mean "effect"?); known here: claims, effect, from, mode, name, scopes, to, when`+rejected)
	strict := f.check(CheckOptions{Strict: true})
	wantFindings(t, "strict", strict.Problems, `policies/wrong.yaml:7:25: unknown key "efect" (did you mean "effect"?); known here: claims, effect, from, mode, name, scopes, to, when`)
	wantFindings(t, "strict, warnings", strict.Warnings)
}

// A key set whose keys are of another algorithm than the entry's denies every token. The next set may fit.
func TestKeysOfAnotherAlgorithmWarn(t *testing.T) {
	f := newFiles(t, oneListener)
	text, err := os.ReadFile(f.config)
	if err != nil {
		t.Fatal(err)
	}
	f.write("meshpass.yaml", strings.Replace(string(text), "jwks:", "algorithms: [EdDSA, RS256], jwks:", 1))
	found := f.check(CheckOptions{})
	wantFindings(t, "problems", found.Problems)
	wantFindings(t, "warnings", found.Warnings,
		"meshpass.yaml:5:92: trust[0].algorithms: no key of the issuer's file is for one of these algorithms, so all its tokens are denied: name the keys' own "+
			"(issuer https://tyk.test.meshpass.dev, algorithms [EdDSA RS256])")
}

// A pipe without a reader is rejected by a start alone, because only opening it shows that.
func TestAnAuditPipeIsNotChecked(t *testing.T) {
	f := newFiles(t, oneListener+"audit: {output: pipe}")
	if err := syscall.Mkfifo(filepath.Join(filepath.Dir(f.config), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	found := f.check(CheckOptions{Memory: bytesize.GiB})
	wantFindings(t, "problems", found.Problems)
	wantFindings(t, "not checked", found.NotChecked,
		"meshpass.yaml:1:12: listeners: whether their addresses are free on the authorizer's machine",
		"meshpass.yaml:3:17: audit.output: whether the named pipe has a reader, which must be there first")
}

// The output of audit records is checked, and not opened.
func TestTheAuditFileIsNotOpened(t *testing.T) {
	for output, want := range map[string]string{
		"audit.jsonl":         "",
		"present.jsonl":       "",
		"policies":            "meshpass.yaml:3:17: audit.output: open policies: is a directory",
		"absent/audit.jsonl":  "meshpass.yaml:3:17: audit.output: open absent/audit.jsonl: no such file or directory",
		"meshpass.yaml/audit": "meshpass.yaml:3:17: audit.output: open meshpass.yaml/audit: not a directory",
	} {
		f := newFiles(t, oneListener+"audit: {output: "+output+"}")
		f.write("present.jsonl", "{}\n")
		wantFindings(t, output, f.check(CheckOptions{}).Problems, want)
		if _, err := os.Stat("audit.jsonl"); err == nil {
			t.Errorf("%s: the file was made", output)
		}
		a, err := loadAuthorizer(process("meshpass.yaml"))
		if err == nil {
			a.shutDown()
		}
		if (err == nil) != (want == "") || err != nil && err.Error() != want {
			t.Errorf("%s: a start says %v", output, err)
		}
	}
}

// A configuration that is rejected for another mistake makes no file.
func TestARejectedStartMakesNoFile(t *testing.T) {
	f := newFiles(t, oneListener+"audit: {output: audit.jsonl}\ncache: {verifiedTokens: -1}")
	t.Chdir(filepath.Dir(f.config))
	if _, err := loadAuthorizer(process("meshpass.yaml")); err == nil {
		t.Fatal("accepted")
	}
	if _, err := os.Stat("audit.jsonl"); err == nil {
		t.Error("the audit file was made")
	}
}
