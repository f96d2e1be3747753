package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/internal/audittest"
)

// The reader of the gateway's standard output stops, and then ends: tokens are signed all the same, what cannot be
// written is counted, and the gateway lives.
func TestNobodyReadsTheAuditTrail(t *testing.T) {
	r := startPiped(t, "queue: 256KiB")
	const full = `meshpass_audit_records_lost_total{cause="queue_full"}`
	for sent := 0; r.seen[full] == 0; sent++ {
		if got := r.canary(t); got.claims == nil {
			t.Fatalf("request %d: got %+v: want a token", sent+1, got.answer)
		}
		if sent == 5000 {
			t.Fatalf("the queue has more room than this test fills: %v", r.seen)
		}
		if sent%100 == 99 {
			r.awaitSamples(t, "no metrics", func() bool { return true })
		}
	}
	if waiting := r.seen["meshpass_audit_queue_bytes"]; waiting > 256<<10 || waiting < 128<<10 {
		t.Errorf("%d bytes wait", waiting)
	}

	must(t, r.reader.Close())
	if got := r.canary(t); got.claims == nil {
		t.Errorf("without a reader: got %+v: want a token", got.answer)
	}
	r.awaitSamples(t, "the queue is not emptied", func() bool {
		return r.seen["meshpass_audit_queue_bytes"] == 0 && r.seen[`meshpass_audit_records_lost_total{cause="reader_closed"}`] > 0
	})
	if got := r.canary(t); got.claims == nil || r.tyk.Err() != nil {
		t.Errorf("in the end: got %+v, %v", got.answer, r.tyk.Err())
	}
}

// With audit.required, a token is handed on only after its record was written. While the reader of standard output stalls
// or is gone, requests get 503 after a bounded time, denials are answered as they are, and the gateway lives. Tokens are
// handed on again when somebody reads.
func TestNoTokenWithoutItsRequiredRecord(t *testing.T) {
	r := startPiped(t, "required: true")
	unknown := r.newKey(t, `{"tenant": "acme"}`)
	denied := func(t *testing.T, cause string) {
		t.Helper()
		for range 3 {
			if got, want := r.canary(t), (answer{status: http.StatusServiceUnavailable, says: "audit_unavailable"}); got.answer != want {
				t.Fatalf("%s: got %+v", cause, got.answer)
			}
		}
		got := r.send(t, call{path: "/" + canary + "/", header: http.Header{"Authorization": {unknown}}})
		if want := (answer{status: http.StatusForbidden, says: "subject_unknown"}); got.answer != want {
			t.Errorf("%s: a denial: got %+v", cause, got.answer)
		}
	}
	signed := 0
	for r.canary(t).claims != nil {
		if signed++; signed == 5000 {
			t.Fatal("the pipe has more room than this test fills")
		}
	}
	if signed == 0 {
		t.Error("no token before the pipe is full")
	}
	denied(t, "a stalled reader")
	r.awaitSamples(t, "denials are not counted", func() bool {
		return r.seen[`meshpass_edge_decisions_total{decision="deny",reason="audit_unavailable"}`] >= 3
	})

	read := make(chan string)
	go func() {
		trail, _ := io.ReadAll(r.reader) // it ends when the reader is closed
		read <- string(trail)
	}()
	r.await(t, r.signsAgain(t))
	must(t, r.reader.Close())
	trail := <-read
	audittest.CheckLines(t, strings.TrimSuffix(trail, trail[strings.LastIndex(trail, "\n")+1:]))
	if got := strings.Count(trail, `"reason":"issued"`); got < signed {
		t.Errorf("%d tokens were handed on, and %d records were read", signed, got)
	}

	denied(t, "no reader")
	r.awaitSamples(t, "lost records are not counted", func() bool {
		return r.seen[`meshpass_audit_records_lost_total{cause="reader_closed"}`] > 0
	})
	again, err := os.OpenFile(r.path("audit.log"), os.O_RDWR, 0)
	must(t, err)
	defer again.Close()
	r.await(t, r.signsAgain(t))
	must(t, r.tyk.Err())
}

// A full disk under the gateway's standard output is the same.
func TestNoTokenOnAFullDisk(t *testing.T) {
	for section, want := range map[string]answer{
		"required: true":  {status: http.StatusServiceUnavailable, says: "audit_unavailable"},
		"required: false": {status: http.StatusOK, upstream: "a valid token"},
	} {
		t.Run(section, func(t *testing.T) {
			r := startAudited(t, section, func(output string) { must(t, os.Symlink("/dev/full", output)) })
			for range 3 {
				if got := r.canary(t); got.answer.status != want.status || got.answer.says != want.says && want.says != "" || (got.claims == nil) == (want.upstream != "") {
					t.Errorf("got %+v, want %+v", got.answer, want)
				}
			}
			r.awaitSamples(t, "lost records are not counted", func() bool {
				return r.seen[`meshpass_audit_records_lost_total{cause="no_space"}`] >= 3
			})
			must(t, r.tyk.Err())
		})
	}
}

// auditedRig is a gateway whose audit trail the test looks at.
type auditedRig struct {
	*rig
	reader  *os.File       // of the pipe that is the gateway's standard output
	metrics string         // address
	seen    map[string]int // the latest samples
}

// startPiped starts a gateway whose standard output is a pipe that nobody reads, with these settings of audit.
func startPiped(t *testing.T, section string) *auditedRig {
	t.Helper()
	var reader *os.File
	r := startAudited(t, section, func(output string) {
		must(t, syscall.Mkfifo(output, 0o600))
		var err error
		reader, err = os.OpenFile(output, os.O_RDWR, 0) // or the gateway would have no standard output
		must(t, err)
		t.Cleanup(func() { _ = reader.Close() }) // the test may have closed it
	})
	r.reader = reader
	return r
}

// startAudited starts a gateway with these settings of audit. makeOutput makes the file of its standard output.
func startAudited(t *testing.T, section string, makeOutput func(string)) *auditedRig {
	t.Helper()
	a := &auditedRig{}
	a.rig = start(t, setup{first: func(r *rig) {
		makeOutput(r.path("audit.log"))
		gateway, err := url.Parse(r.url)
		must(t, err)
		a.metrics = net.JoinHostPort(gateway.Hostname(), "9092")
		r.write(t, "identity.yaml", fmt.Sprintf("metrics: %q\naudit: {%s}\n", a.metrics, section)+r.fill(strings.TrimSpace(pluginConfig)))
	}})
	a.serving(t)
	a.awaitSamples(t, "no metrics", func() bool { return true })
	return a
}

func (r *auditedRig) awaitSamples(t *testing.T, what string, holds func() bool) {
	t.Helper()
	r.await(t, func(context.Context) error {
		text, err := scrape(r.metrics)
		if err != nil {
			return err
		}
		if r.seen = samples(text); !holds() {
			return fmt.Errorf("%s:\n%s", what, text)
		}
		return nil
	})
}

// signsAgain is a condition.
func (r *auditedRig) signsAgain(t *testing.T) func(context.Context) error {
	return func(context.Context) error {
		if got := r.canary(t); got.claims == nil {
			return fmt.Errorf("got %+v, want a token", got.answer)
		}
		return nil
	}
}
