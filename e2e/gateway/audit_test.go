package gateway_test

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
)

// The reader of the gateway's standard output stops, and then ends: tokens are signed all the same, what cannot be
// written is counted, and the gateway lives.
func TestNobodyReadsTheAuditTrail(t *testing.T) {
	var reader *os.File
	r := start(t, setup{first: func(r *rig) {
		must(t, syscall.Mkfifo(r.path("audit.log"), 0o600))
		var err error
		reader, err = os.OpenFile(r.path("audit.log"), os.O_RDWR, 0) // or the gateway would have no standard output
		must(t, err)
	}})
	gateway, err := url.Parse(r.url)
	must(t, err)
	address := net.JoinHostPort(gateway.Hostname(), "9092")
	r.write(t, "identity.yaml", fmt.Sprintf("metrics: %q\naudit: {queue: 256KiB}\n", address)+r.fill(strings.TrimSpace(pluginConfig)))
	r.serving(t)
	var seen map[string]int
	await := func(what string, holds func() bool) {
		t.Helper()
		r.await(t, func(context.Context) error {
			text, err := scrape(address)
			if err != nil {
				return err
			}
			if seen = samples(text); !holds() {
				return fmt.Errorf("%s:\n%s", what, text)
			}
			return nil
		})
	}
	await("no metrics", func() bool { return true })

	const full = `meshpass_audit_records_lost_total{cause="queue_full"}`
	for sent := 0; seen[full] == 0; sent++ {
		if got := r.canary(t); got.claims == nil {
			t.Fatalf("request %d: got %+v: want a token", sent+1, got.answer)
		}
		if sent == 5000 {
			t.Fatalf("the queue has more room than this test fills: %v", seen)
		}
		if sent%100 == 99 {
			await("no metrics", func() bool { return true })
		}
	}
	if waiting := seen["meshpass_audit_queue_bytes"]; waiting > 256<<10 || waiting < 128<<10 {
		t.Errorf("%d bytes wait", waiting)
	}

	must(t, reader.Close())
	if got := r.canary(t); got.claims == nil {
		t.Errorf("without a reader: got %+v: want a token", got.answer)
	}
	await("the queue is not emptied", func() bool {
		return seen["meshpass_audit_queue_bytes"] == 0 && seen[`meshpass_audit_records_lost_total{cause="reader_closed"}`] > 0
	})
	if got := r.canary(t); got.claims == nil || r.tyk.Err() != nil {
		t.Errorf("in the end: got %+v, %v", got.answer, r.tyk.Err())
	}
}
