package audit_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/shared/audit"
)

func TestTheSchemaIsFixed(t *testing.T) {
	var out bytes.Buffer
	full := audit.Record{
		Time: time.Date(2026, 6, 1, 12, 0, 0, 123, time.UTC), Kind: audit.Check, ID: "1", Txn: "2", TraceID: "3", RequestID: "4",
		Listener: "sidecar", Caller: "ns/a/sa/b", Callee: "ns/c/sa/d", Method: "GET", Path: "/x", Host: "h", Sub: "idp:alice", Iss: "https://i",
		Decision: "allow", Reason: "rule_allowed", Policy: "p", Rule: "r", Mode: "enforce", Shadow: []string{"p/s"}, DurationUS: 7,
		Generation: "abc", Inputs: map[string]any{"claims.tctx.tenant": "acme"},
	}
	if err := audit.New(&out).Write(full); err != nil {
		t.Fatal(err)
	}
	want := `{"time":"2026-06-01T12:00:00.000000123Z","kind":"check","id":"1","txn":"2","trace_id":"3","request_id":"4",` +
		`"listener":"sidecar","caller":"ns/a/sa/b","callee":"ns/c/sa/d","method":"GET","path":"/x","host":"h","sub":"idp:alice","iss":"https://i",` +
		`"decision":"allow","reason":"rule_allowed","policy":"p","rule":"r","mode":"enforce","shadow":["p/s"],"duration_us":7,` +
		`"generation":"abc","inputs":{"claims.tctx.tenant":"acme"}}` + "\n"
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// A client chooses path and host; it must not be able to write a second record.
func TestHostileTextStaysInItsLine(t *testing.T) {
	var out bytes.Buffer
	r := audit.Record{Path: "/x\n{\"kind\":\"check\"}", Host: "\xff\u2028", Decision: "deny", Reason: "no_rule"}
	if err := audit.New(&out).Write(r); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 || !json.Valid(out.Bytes()) {
		t.Errorf("got %q", out.String())
	}
}

type lines struct{ list []string }

func (l *lines) Write(p []byte) (int, error) {
	l.list = append(l.list, string(p))
	return len(p), nil
}

func TestConcurrentRecordsStayWhole(t *testing.T) {
	var out lines
	log := audit.New(&out)
	var wg sync.WaitGroup
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := log.Write(audit.Record{Reason: "no_rule"}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	if len(out.list) != 50 {
		t.Fatalf("%d lines", len(out.list))
	}
	for _, line := range out.list {
		if !json.Valid([]byte(line)) {
			t.Errorf("got %q", line)
		}
	}
}

type full struct{}

var errFull = errors.New("disk full")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestAFailedWriteIsReported(t *testing.T) {
	if err := audit.New(full{}).Write(audit.Record{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if err := audit.New(full{}).Write(audit.Record{Inputs: map[string]any{"f": func() {}}}); err == nil {
		t.Error("a record that is no JSON is written")
	}
}

func TestClip(t *testing.T) {
	for _, row := range []struct {
		text string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab…"}, {"aäää", 5, "a…"}, {"", 3, ""}} {
		if got := audit.Clip(row.text, row.most); got != row.want {
			t.Errorf("%q to %d: got %q, want %q", row.text, row.most, got, row.want)
		}
	}
}

func TestTraceID(t *testing.T) {
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for parent, want := range map[string]string{
		"00-" + id + "-00f067aa0ba902b7-01": id,
		"":                                  "",
		id:                                  "",
		"00-" + id + "-00f067aa0ba902b7":    "",
		"00-" + strings.Repeat("z", 32) + "-00f067aa0ba902b7-01": "",
		"00-" + strings.Repeat("0", 32) + "-00f067aa0ba902b7-01": "",
		"00-" + id[1:] + "-00f067aa0ba902b7-01":                  "",
	} {
		if got := audit.TraceID(parent); got != want {
			t.Errorf("%q: got %q", parent, got)
		}
	}
}
