package fidelity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/process"
	"github.com/meshpass/meshpass/internal/subnet"
	"github.com/meshpass/meshpass/internal/tokentest"
)

// TestAuthorizer shows that what the real authorizer decides is what the
// workload gets, and what it lets in, as it should be.
func TestAuthorizer(t *testing.T) {
	h := newHop(t)
	for _, topic := range []struct {
		name string
		test func(*testing.T)
	}{
		{"paths", h.testPaths},
		{"dodges", h.testDodges},
		{"token forms", h.testTokenForms},
		{"removal", h.testRemoval},
		{"separators", h.testSeparators},
		{"refusals", h.testRefusals},
		{"access log", h.testAccessLog},
		{"random lines", h.testRandomLines},
		{"random HTTP 2", h.testRandomHTTP2},
	} {
		t.Run(topic.name, topic.test)
	}
}

// hop is Envoy with us: bin/meshpass on the policy of testdata.
type hop struct {
	*rig
	*audited
}

func newHop(t testing.TB) *hop {
	t.Helper()
	return newHopOn(t, newRig(t, fromDump), "")
}

// file is one more file of an authorizer.
type file struct {
	name string
	data []byte
}

// newHopOn adds lines to the configuration of testdata, and the files that they name.
func newHopOn(t testing.TB, r *rig, lines string, files ...file) *hop {
	t.Helper()
	h := &hop{rig: r}
	must(t, h.net.CopyDir(h.dir, os.DirFS("testdata")))
	config, err := os.ReadFile(filepath.Join(h.dir, "meshpass.yaml"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(h.dir, "meshpass.yaml"), append(config, lines...), 0o644))
	for _, f := range files {
		must(t, os.WriteFile(filepath.Join(h.dir, f.name), f.data, 0o600))
	}
	h.audited = startMeshpass(t, h.net, h.dir, "testdata/policies", h.authorizerAddress())
	return h
}

// audited is an authorizer whose audit records are read.
type audited struct {
	file string
	read int64  // of it, in bytes
	ops  string // URL
}

// startMeshpass starts bin/meshpass on the meshpass.yaml of a folder, with the policies of another
// one. It listens at the address.
func startMeshpass(t testing.TB, n *subnet.Subnet, dir, policies, address string) *audited {
	t.Helper()
	must(t, os.Mkdir(filepath.Join(dir, "policies"), 0o755))
	must(t, n.CopyDir(filepath.Join(dir, "policies"), os.DirFS(policies)))
	must(t, os.WriteFile(filepath.Join(dir, "jwks.json"), tokentest.JWKS(t), 0o644))
	meshpass, err := repo.Bin("meshpass", "bin/meshpass")
	must(t, err)
	host, _, err := net.SplitHostPort(address)
	must(t, err)
	a := &audited{file: filepath.Join(dir, "audit.log"), ops: "http://" + net.JoinHostPort(host, "9090")}
	p, err := process.Start(process.Spec{
		Name: "meshpass", Path: meshpass, Args: []string{"serve", "--config", "meshpass.yaml", "--drain-delay", "0s"},
		Dir: dir, Stdout: a.file, Stderr: filepath.Join(dir, "meshpass.log"),
	})
	must(t, err)
	t.Cleanup(func() { audittest.CheckFiles(t, a.file) })
	stopAtEnd(t, p.Stop)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = p.AwaitReady(ctx, process.NewListeningCheck(address))
	if err != nil {
		log, _ := os.ReadFile(filepath.Join(dir, "meshpass.log"))
		t.Fatalf("%v\n%s", err, log)
	}
	return a
}

// record is what an audit record says of a request.
type record struct {
	ID, Decision, Reason, Policy, Rule, Method, Path, Host, Txn, Sub string
	RequestID                                                        string `json:"request_id"`
}

// records are the audit records since they were last asked for. They are written after their
// answers: none of a request that ended is missing when none waits.
func (a *audited) records(t testing.TB) []record {
	t.Helper()
	eventually(t, "no record waits to be written", a.settled)
	file, err := os.Open(a.file)
	must(t, err)
	defer file.Close()
	_, err = file.Seek(a.read, io.SeekStart)
	must(t, err)
	data, err := io.ReadAll(file)
	must(t, err)
	a.read += int64(len(data))
	var all []record
	for line := range bytes.Lines(data) {
		var r record
		must(t, json.Unmarshal(line, &r))
		if r.Path != settled {
			all = append(all, r)
		}
	}
	return all
}

// settled reports whether every record was written.
func (a *audited) settled() bool {
	response, err := http.Get(a.ops + "/status")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var status struct{ Audit struct{ Queued int } }
	return json.NewDecoder(response.Body).Decode(&status) == nil && status.Audit.Queued == 0
}

// outcome is one request to the workload, with us on the way.
type outcome struct {
	reply   reply
	records []record
	arrived []arrival
}

func (h *hop) try(t testing.TB, raw string) outcome {
	t.Helper()
	return h.outcome(t, h.one(t, raw))
}

func (h *hop) outcome(t testing.TB, reply reply) outcome {
	t.Helper()
	h.settle(t)
	o := outcome{reply: reply, records: h.records(t), arrived: h.arrivals()}
	decided := map[string]record{}
	for _, r := range o.records {
		decided[r.RequestID] = r
	}
	faithful(t, decided, o.arrived)
	return o
}

// faithful is what all of this is for: nothing arrives but what was let in, and
// it arrives as it was decided.
func faithful(t testing.TB, decided map[string]record, arrived []arrival) {
	t.Helper()
	for _, a := range arrived {
		id := a.value("x-request-id")
		r, found := decided[id]
		path, _, _ := strings.Cut(a.target(), "?")
		if !found || r.Decision != "allow" || r.Method != a.method() || r.Path != path || r.Host != a.value("host") {
			t.Errorf("arrived %q with %q, decided %+v", a.line, a.fields, r)
		}
		delete(decided, id)
	}
}

// decision wants that there was exactly one, and that the request arrived if
// it was let in.
func (o outcome) decision(t testing.TB) record {
	t.Helper()
	if len(o.records) != 1 || (o.records[0].Decision == "allow") != (len(o.arrived) == 1) {
		t.Fatalf("decided %+v, arrived %v, answered %d; want one decision, and an arrival if it allows", o.records, o.arrived, o.reply.status)
	}
	return o.records[0]
}
