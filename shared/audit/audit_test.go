package audit_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// recorded is the text of one record, which matches the schema.
func recorded(t *testing.T, r audit.Record) string {
	t.Helper()
	line := written(t, r)
	audittest.CheckLines(t, line)
	return line
}

// newRecord has the fields that each record has.
func newRecord(decision, reason string) audit.Record {
	return audit.Record{Time: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), Kind: audit.KindCheck, ID: "1", Decision: decision, Reason: reason}
}

// written is the text of one record, valid or not.
func written(t *testing.T, r audit.Record) string {
	t.Helper()
	var text strings.Builder
	log := audit.New(&text, audit.Options{})
	log.Record(r)
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

func TestTheSchemaIsFixed(t *testing.T) {
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	full := audit.Record{
		Time: time.Date(2026, 6, 1, 12, 0, 0, 123, time.UTC), Kind: audit.KindCheck, ID: "1", Txn: "2", TraceID: trace, RequestID: "4",
		Listener: "sidecar", Caller: "ns/a/sa/b", Callee: "ns/c/sa/d", Method: "GET", Path: "/x", Host: "h", Sub: "idp:alice", Iss: "https://i",
		Decision: "allow", Reason: "rule_allowed", Detail: "why", Policy: "p", Folder: "f", Rule: "r", Mode: "shadow", Shadow: []string{"deny no_rule"}, DurationUS: 7,
		Generation: "abc", Inputs: map[string]any{"claims.tctx.tenant": "acme"}, Authenticated: true,
	}
	want := `{"time":"2026-06-01T12:00:00.000000123Z","kind":"check","id":"1","txn":"2","trace_id":"` + trace + `","request_id":"4",` +
		`"listener":"sidecar","caller":"ns/a/sa/b","callee":"ns/c/sa/d","method":"GET","path":"/x","host":"h","sub":"idp:alice","iss":"https://i",` +
		`"decision":"allow","reason":"rule_allowed","detail":"why","policy":"p","folder":"f","rule":"r","mode":"shadow","shadow":["deny no_rule"],"duration_us":7,` +
		`"generation":"abc","inputs":{"claims.tctx.tenant":"acme"}}` + "\n"
	if got := recorded(t, full); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A client chooses path and host; it must not be able to write a second record.
func TestHostileTextStaysInItsLine(t *testing.T) {
	r := newRecord("deny", "no_rule")
	r.Path, r.Host = "/x\n{\"kind\":\"check\"}", "\xff\u2028"
	got := recorded(t, r)
	if strings.Count(got, "\n") != 1 || !json.Valid([]byte(got)) {
		t.Errorf("got %q", got)
	}
}

// A terminal shows the characters that a client chose and does not obey them, neither controls nor those that change
// the direction of text. A program reads the same text as before.
func TestCharactersThatATerminalObeysAreEscaped(t *testing.T) {
	hostile := []rune{0x061C, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF, 0x7F, 0xE0041}
	for r := rune(0); r < 0x20; r++ {
		hostile = append(hostile, r)
	}
	for r := rune(0x80); r < 0xA0; r++ {
		hostile = append(hostile, r)
	}
	text := "/grün" + string(hostile) + `"\日本🙂`
	r := audit.Record{
		ID: text, Txn: text, TraceID: text, RequestID: text, Listener: text, Caller: text, Callee: text, Method: text, Path: text, Host: text,
		Sub: text, Iss: text, Decision: text, Reason: text, Detail: text, Policy: text, Rule: text, Mode: text, Shadow: []string{text},
		Withheld: []string{text}, Generation: text, Inputs: map[string]any{text: []any{text, map[string]any{text: text}}}, Unrecorded: []string{text}, Masked: []string{text},
	}
	line := written(t, r) // no decision has such a text as its reason
	for _, char := range strings.TrimSuffix(line, "\n") {
		if strings.ContainsRune(string(hostile), char) {
			t.Errorf("%U is in the record", char)
		}
	}
	for _, shown := range []string{"/grün", "日本🙂", `\u202e`, `\u009b`, `\udb40\udc41`} {
		if !strings.Contains(line, shown) {
			t.Errorf("no %s in the record", shown)
		}
	}
	var read audit.Record
	if err := json.Unmarshal([]byte(line), &read); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(read) != fmt.Sprint(r) {
		t.Errorf("got %+v, want %+v", read, r)
	}
}

func TestConcurrentRecordsStayWhole(t *testing.T) {
	out := audittest.NewBuffer(t, audit.Options{})
	var wg sync.WaitGroup
	for i := 0; i < 50; i++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out.Log.Record(newRecord("allow", "rule_allowed"))
		}()
	}
	wg.Wait()
	lines := strings.SplitAfter(out.String(), "\n")
	if len(lines) != 51 {
		t.Fatalf("%d lines", len(lines)-1)
	}
	for _, line := range lines[:50] {
		if !json.Valid([]byte(line)) {
			t.Errorf("got %q", line)
		}
	}
}

func TestARecordThatIsNoJSONIsCounted(t *testing.T) {
	out := audittest.NewBuffer(t, audit.Options{})
	out.Log.Record(audit.Record{Inputs: map[string]any{"f": func() {}}})
	if got := out.String(); got != "" || out.Log.Stats().Lost[logqueue.Unencodable] != 1 {
		t.Errorf("got %q, lost %v", got, out.Log.Stats().Lost)
	}
}

// stalled is a reader that reads nothing until it is released.
type stalled struct {
	at   chan struct{} // a write has begun
	free chan struct{}
	mu   sync.Mutex
	text strings.Builder
}

func newStalled() *stalled {
	return &stalled{at: make(chan struct{}, 1), free: make(chan struct{})}
}

func (s *stalled) Write(line []byte) (int, error) {
	select {
	case s.at <- struct{}{}:
	default:
	}
	<-s.free
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(line)
}

// No request waits for a reader that hangs. Records without room are counted, in a line once the reader goes on.
func TestALogThatHangsHoldsNobodyUp(t *testing.T) {
	sink := newStalled()
	noon := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	log := audit.New(sink, audit.Options{Settings: audit.Settings{Queue: 1000}, Now: func() time.Time { return noon }})
	for range 50 {
		log.Record(audit.Record{Kind: audit.KindCheck, Decision: "allow", Reason: "rule_allowed"})
	}
	<-sink.at
	before := log.Stats()
	if before.Bytes > 1000 || before.Queued == 0 || before.Lost[logqueue.QueueFull] != 50-uint64(before.Queued) || before.Oldest != noon {
		t.Errorf("got %+v", before)
	}
	close(sink.free)
	if err := log.Close(context.Background()); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(sink.text.String()), "\n")
	var gap audit.Gap
	for _, line := range lines {
		if strings.Contains(line, `"kind":"gap"`) {
			if err := json.Unmarshal([]byte(line), &gap); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(gap.ID) != 32 {
		t.Errorf("id %q", gap.ID)
	}
	gap.ID = ""
	want := audit.Gap{Time: noon, Kind: "gap", Cause: "queue_full", Count: 50 - uint64(before.Queued), Since: noon}
	if len(lines) != before.Queued+1 || gap != want {
		t.Errorf("got %d lines, of %d records, and %+v; want %+v", len(lines), before.Queued, gap, want)
	}
}

// The end of a process does not wait for a reader that hangs either.
func TestCloseEndsWithItsContext(t *testing.T) {
	sink := newStalled()
	defer close(sink.free)
	log := audit.New(sink, audit.Options{})
	for range 3 {
		log.Record(audit.Record{Decision: "allow"})
	}
	<-sink.at
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := log.Close(ctx)
	if err == nil || err.Error() != "3 lines could not be written: context canceled" || log.Stats().Lost[logqueue.Stopped] != 3 {
		t.Errorf("got %v, lost %v", err, log.Stats().Lost)
	}
	log.Record(audit.Record{Decision: "allow"})
	if got := log.Stats().Lost[logqueue.Stopped]; got != 4 {
		t.Errorf("after the end: %d lost", got)
	}
}

// Anyone can cause denials at any rate. They cannot fill the trail, nor hide denials with another reason in it.
// Denials of verified callers are always recorded, and so are all allows.
func TestAnonymousDenialsAreLimited(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	sink := newStalled()
	close(sink.free)
	log := audit.New(sink, audit.Options{Now: func() time.Time { return now }})
	deny := func(reason string, times int, authenticated bool) {
		for range times {
			log.Record(audit.Record{Kind: audit.KindCheck, Decision: "deny", Reason: reason, Authenticated: authenticated})
		}
	}
	deny("token_missing", 1000, false)
	deny("signature_invalid", 1, false)
	deny("no_rule", 300, true)
	for range 300 {
		log.Record(audit.Record{Kind: audit.KindCheck, Decision: "allow", Reason: "public"})
	}
	now = now.Add(2 * time.Second)
	deny("token_missing", 30, false)
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	for _, line := range strings.Split(strings.TrimSpace(sink.text.String()), "\n") {
		var seen struct {
			Kind, Reason, Decision string
			Cause                  string
			Count                  int
		}
		if err := json.Unmarshal([]byte(line), &seen); err != nil {
			t.Fatal(err)
		}
		if seen.Kind == "gap" {
			counts[seen.Cause+" "+seen.Decision+" "+seen.Reason] += seen.Count
		} else {
			counts[seen.Reason]++
		}
	}
	want := map[string]int{"token_missing": 220, "suppressed deny token_missing": 810, "signature_invalid": 1, "no_rule": 300, "public": 300}
	if fmt.Sprint(counts) != fmt.Sprint(want) || log.Stats().Suppressed != 810 {
		t.Errorf("got %v, %d suppressed, want %v", counts, log.Stats().Suppressed, want)
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
		if got := audit.ParseTraceID(parent); got != want {
			t.Errorf("%q: got %q", parent, got)
		}
	}
}
