package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/meshpass/meshpass/internal/audittest"
)

// authorizer is `meshpass serve` as a process of its own.
type authorizer struct {
	*exec.Cmd
	client auth.AuthorizationClient
	ops    string
	stderr *os.File // the end that a test reads
	exited chan error
}

// patience bounds what happens at once on a machine that is not busy.
const patience = time.Minute

// serving starts it with a configuration beside the keys and policies of app's tests.
// Requests without a token are let in, so that each of them is recorded.
func serving(t *testing.T, audit string, stdout *os.File) *authorizer {
	t.Helper()
	return servingWithin(t, "10s", audit, stdout)
}

// servingWithin has a deadline for a Check, which tests of records that are required wait for.
func servingWithin(t *testing.T, deadline, audit string, stdout *os.File) *authorizer {
	t.Helper()
	testdata, err := filepath.Abs("../../internal/app/testdata")
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(t.TempDir(), "meshpass.yaml")
	text := fmt.Sprintf(`
listeners: [{name: sidecar, grpc: "127.0.0.1:0", caller: principal, callee: principal}]
ops: "127.0.0.1:0"
tls: {mode: plaintext}
trust: [{issuer: "https://tyk.test.meshpass.dev", audience: test.meshpass.dev, jwks: {file: %[1]s/jwks.json}}]
policies: {dirs: [{path: %[1]s/policies}], unguarded: shadow}
limits: {deadline: %[3]s}
audit: %[2]s
`, testdata, audit, deadline)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a := &authorizer{Cmd: exec.Command(os.Args[0], "serve", "--config", config, "--drain-delay", "0s"), stderr: reader, exited: make(chan error, 1)}
	a.Env = append(os.Environ(), asMain+"=1")
	a.Stderr = writer
	if stdout != nil {
		a.Stdout = stdout
	}
	if err := a.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	go func() { a.exited <- a.Wait() }()
	t.Cleanup(func() {
		_ = a.Process.Kill() // it may have ended
		reader.Close()
	})
	var log bytes.Buffer
	for part := make([]byte, 4096); !strings.Contains(log.String(), `"msg":"serving"`); {
		n, err := reader.Read(part)
		if err != nil {
			t.Fatalf("%v: %s", err, &log)
		}
		log.Write(part[:n])
	}
	address := regexp.MustCompile(`"msg":"(listening|probes and metrics)",.*"address":"([^"]+)"`).FindAllStringSubmatch(log.String(), 2)
	conn, err := grpc.NewClient(address[0][2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	a.client, a.ops = auth.NewAuthorizationClient(conn), "http://"+address[1][2]
	return a
}

// ask wants every one of n requests answered.
func (a *authorizer) ask(t *testing.T, n int, headers map[string]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request := requestReports(headers)
	for i := range n {
		answer, err := a.client.Check(ctx, request)
		if err != nil || answer.GetOkResponse() == nil {
			t.Fatalf("request %d: %v, %v", i+1, answer, err)
		}
	}
}

func requestReports(headers map[string]string) *auth.CheckRequest {
	return &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      &auth.AttributeContext_Peer{Principal: "spiffe://cluster.local/ns/edge/sa/tyk-gateway"},
		Destination: &auth.AttributeContext_Peer{Principal: "spiffe://cluster.local/ns/shop/sa/reports"},
		Request:     &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{Method: "GET", Path: "/", Headers: headers}},
	}}
}

func (a *authorizer) get(t *testing.T, path string) (int, string) {
	t.Helper()
	answer, err := http.Get(a.ops + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// metric is the value of a sample.
func (a *authorizer) metric(t *testing.T, sample string) int {
	t.Helper()
	_, text := a.get(t, "/metrics")
	_, after, found := strings.Cut(text, "\n"+sample+" ")
	line, _, _ := strings.Cut(after, "\n")
	value, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		t.Fatalf("%s: %v", sample, err)
	}
	return int(value)
}

// await polls until a sample has a value.
func (a *authorizer) await(t *testing.T, sample string, value int) {
	t.Helper()
	for deadline := time.Now().Add(patience); a.metric(t, sample) != value; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s is %d, want %d", sample, a.metric(t, sample), value)
		}
	}
}

// end sends SIGTERM and wants the process to end, also if something hangs.
func (a *authorizer) end(t *testing.T) {
	t.Helper()
	if err := a.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-a.exited:
		if err != nil {
			t.Errorf("exit: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("SIGTERM does not end the process")
	}
}

func pipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reader.Close(); writer.Close() })
	return reader, writer
}

const lost = `meshpass_audit_records_lost_total{cause="%s"}`

// A reader of standard output that has stopped, as a collector of logs does, holds up neither Checks nor probes nor
// the end; once it goes on, the records say how many are missing.
func TestStdoutThatNobodyReads(t *testing.T) {
	reader, writer := pipe(t)
	a := serving(t, "{queue: 256KiB}", writer)
	const asked = 3000
	a.ask(t, asked, nil)
	written, full := a.metric(t, "meshpass_audit_records_written_total"), a.metric(t, fmt.Sprintf(lost, "queue_full"))
	if written == 0 || full == 0 || written+full >= asked || a.metric(t, "meshpass_audit_write_failures_total") != full {
		t.Errorf("of %d records %d were written and %d found no room", asked, written, full)
	}
	if bytes, limit := a.metric(t, "meshpass_audit_queue_bytes"), a.metric(t, "meshpass_audit_queue_limit_bytes"); bytes > limit || bytes < limit/2 || limit != 256<<10 {
		t.Errorf("%d bytes of %d wait", bytes, limit)
	}
	if status, text := a.get(t, "/readyz?verbose"); status != 200 || !strings.Contains(text, fmt.Sprintf("lost %d queue_full", full)) {
		t.Errorf("got %d, %s", status, text)
	}

	// The reader goes on: all that waited comes, and the count of what did not.
	records := make(chan []string)
	go func() {
		text, _ := io.ReadAll(reader) // until the process ends, or with less, which is noticed
		audittest.CheckLines(t, string(text))
		records <- strings.Split(strings.TrimSpace(string(text)), "\n")
	}()
	a.await(t, "meshpass_audit_records_written_total", asked-full)
	a.end(t)
	writer.Close()
	decided, missing := 0, 0
	for _, line := range <-records {
		var r struct {
			Kind, Cause, Reason string
			Count               int
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		switch {
		case r.Kind == "gap" && r.Cause == "queue_full":
			missing += r.Count
		case r.Kind == "check" && r.Reason == "unenforced":
			decided++
		default:
			t.Errorf("got %s", line)
		}
	}
	if decided != asked-full || missing != full {
		t.Errorf("%d records, %d missing; want %d and %d", decided, missing, asked-full, full)
	}
}

// SIGTERM ends the process although nobody will ever read its standard output.
func TestSignalWhileStdoutHangs(t *testing.T) {
	_, writer := pipe(t)
	a := serving(t, "{output: stdout}", writer)
	a.ask(t, 500, nil)
	a.end(t)
	rest, err := io.ReadAll(a.stderr)
	if err != nil || !strings.Contains(string(rest), `"msg":"audit records are lost at the end","output":"stdout","error":"`) {
		t.Errorf("%v: %s", err, rest)
	}
}

// A reader that is gone is a failed write, and not the end of the process.
func TestStdoutWhoseReaderIsGone(t *testing.T) {
	reader, writer := pipe(t)
	reader.Close()
	a := serving(t, "{output: stdout}", writer)
	writer.Close()
	a.ask(t, 20, nil)
	a.await(t, fmt.Sprintf(lost, "reader_closed"), 20)
	if _, text := a.get(t, "/readyz"); !strings.Contains(text, "audit: the last write to stdout failed: ") || !strings.Contains(text, "broken pipe") {
		t.Errorf("readyz: %s", text)
	}
	a.end(t)
}

// The log hangs no Check either, nor does its end.
func TestStderrThatNobodyReads(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	a := serving(t, "{output: stdout}", null)
	a.refuse(t, 8000)
	for deadline := time.Now().Add(patience); a.metric(t, `meshpass_log_lines_lost_total{cause="queue_full"}`) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("no line is lost: the log has more room than this test fills")
		}
		a.refuse(t, 1000)
	}
	a.end(t)
}

// refuse has n forged tokens refused, each of which is logged.
func (a *authorizer) refuse(t *testing.T, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request := &auth.CheckRequest{Attributes: &auth.AttributeContext{
		Source:      &auth.AttributeContext_Peer{Principal: "spiffe://cluster.local/ns/edge/sa/tyk-gateway"},
		Destination: &auth.AttributeContext_Peer{Principal: "spiffe://cluster.local/ns/shop/sa/orders"},
		Request: &auth.AttributeContext_Request{Http: &auth.AttributeContext_HttpRequest{
			Method: "GET", Path: "/tenants/acme/orders/7", Headers: map[string]string{"txn-token": "junk"},
		}},
	}}
	for i := range n {
		answer, err := a.client.Check(ctx, request)
		if err != nil || answer.GetDeniedResponse() == nil {
			t.Fatalf("request %d: %v, %v", i+1, answer, err)
		}
	}
}

// A closed reader of the log ends nothing either.
func TestStderrWhoseReaderIsGone(t *testing.T) {
	a := serving(t, "{output: stdout}", nil)
	a.stderr.Close()
	a.refuse(t, 20)
	a.await(t, `meshpass_log_lines_lost_total{cause="reader_closed"}`, 20)
	a.end(t)
}

// A file that is renamed, removed, or asked for by SIGHUP is opened again under its name.
func TestRotationOfTheAuditFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	a := serving(t, "{output: "+file+"}", nil)
	written := 0
	ask := func() {
		t.Helper()
		written++
		a.ask(t, 1, nil)
		a.await(t, "meshpass_audit_records_written_total", written)
	}
	ask()
	must(t, os.Rename(file, file+".1"))
	ask()
	must(t, os.Remove(file))
	ask()
	must(t, os.Rename(file, file+".2"))
	must(t, a.Process.Signal(syscall.SIGHUP)) // and nobody asks
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if _, err := os.Stat(file); err == nil {
			break
		} else if time.Now().After(deadline) {
			t.Fatal("SIGHUP does not open the file again")
		}
	}
	ask()
	a.end(t)
	for _, name := range []string{file, file + ".1", file + ".2"} {
		text, err := os.ReadFile(name)
		if err != nil || bytes.Count(text, []byte("\n")) != 1 {
			t.Errorf("%s: %v, %q", name, err, text)
		}
		audittest.CheckLines(t, string(text))
	}
}

// SIGHUP, which a terminal that closes sends too, ends nothing where there is no file.
func TestHangupWithoutAFile(t *testing.T) {
	a := serving(t, "{output: stdout}", nil)
	must(t, a.Process.Signal(syscall.SIGHUP))
	var log bytes.Buffer
	for part := make([]byte, 4096); !strings.Contains(log.String(), "hangup: audit records go to standard output"); {
		n, err := a.stderr.Read(part)
		must(t, err)
		log.Write(part[:n])
	}
	a.ask(t, 1, nil)
	a.end(t)
}

// When a full disk has room again, the records go on whole, and say what is missing.
func TestAuditOnAFullDisk(t *testing.T) {
	link, disk := filepath.Join(t.TempDir(), "audit.jsonl"), filepath.Join(t.TempDir(), "disk")
	must(t, os.Symlink("/dev/full", link))
	a := serving(t, "{output: "+link+"}", nil)
	a.ask(t, 30, nil)
	a.await(t, fmt.Sprintf(lost, "no_space"), 30)
	must(t, os.Symlink(disk, link+".new"))
	must(t, os.Rename(link+".new", link))
	a.ask(t, 1, nil)
	a.end(t)
	text, err := os.ReadFile(disk)
	must(t, err)
	audittest.CheckLines(t, string(text))
	if !regexp.MustCompile(`^(.*"kind":"check".*\n.*"kind":"gap",.*"cause":"no_space","count":30,.*\n|.*"kind":"gap",.*"cause":"no_space","count":30,.*\n.*"kind":"check".*\n)$`).Match(text) {
		t.Errorf("got %s", text)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
