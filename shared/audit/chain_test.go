package audit_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// chainKey is a TEST KEY.
var chainKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))

func chained(checkpoint time.Duration) audit.Settings {
	return audit.Settings{Chain: &audit.Chain{Key: chainKey, Checkpoint: checkpoint}}
}

// Each line has the hash of the line before it, and the lines of a chain match the schema.
func TestEachLineNamesTheLineBefore(t *testing.T) {
	var text strings.Builder
	log := audit.New(&text, audit.Options{Settings: chained(time.Hour)})
	for range 3 {
		log.Record(newRecord("allow", "rule_allowed"))
	}
	if err := log.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	audittest.CheckLines(t, text.String())
	lines := strings.Split(strings.TrimSuffix(text.String(), "\n"), "\n")
	prev, chain := audit.NoLine, ""
	for i, line := range lines {
		link, sig, isLinked := audit.ParseLink([]byte(line))
		isCheckpoint := i == 0 || i == len(lines)-1
		if chain == "" {
			chain = link.Chain
		}
		if !isLinked || link != (audit.Link{Chain: chain, Seq: uint64(i + 1), Prev: prev}) || (sig != "") != isCheckpoint {
			t.Errorf("line %d: %s", i+1, line)
		}
		if valid := audit.VerifyCheckpoint([]byte(line), chainKey.Public().(ed25519.PublicKey)); valid != isCheckpoint {
			t.Errorf("line %d: the signature is valid: %t", i+1, valid)
		}
		prev = audit.HashLine([]byte(line))
	}
	var last audit.Checkpoint
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || !last.End || len(lines) != 5 || last.Key != audit.CheckpointKeyID(chainKey.Public().(ed25519.PublicKey)) {
		t.Errorf("%d lines, the last one %+v, %v", len(lines), last, err)
	}
	if chain == strings.Repeat("0", 16) {
		t.Error("the chain has no id of its own")
	}
}

// A record is followed by a checkpoint within the interval, and an idle process writes no line.
func TestCheckpointsFollowRecords(t *testing.T) {
	reader, writer := newLinePipe(t)
	log := audit.New(writer, audit.Options{Settings: chained(time.Millisecond)})
	wants := []bool{true, false, true, false, true} // a checkpoint
	for i, want := range wants {
		if !want {
			log.Record(newRecord("allow", "rule_allowed"))
		}
		if line := reader(); strings.Contains(line, `"kind":"checkpoint"`) != want {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}

// An interval that is made shorter is kept from the next record on, although a longer one runs.
func TestAShorterIntervalIsKept(t *testing.T) {
	reader, writer := newLinePipe(t)
	log := audit.New(writer, audit.Options{Settings: chained(time.Hour)})
	reader()
	log.Record(newRecord("allow", "rule_allowed"))
	reader()
	log.Apply(chained(time.Millisecond))
	for i, want := range []bool{true, false, true} { // a checkpoint
		if !want {
			log.Record(newRecord("allow", "rule_allowed"))
		}
		if line := reader(); strings.Contains(line, `"kind":"checkpoint"`) != want {
			t.Errorf("line %d: %s", i+1, line)
		}
	}
}

// The state of a chain has the lines that no checkpoint covers, and since when.
func TestChainStats(t *testing.T) {
	reader, writer := newLinePipe(t)
	start := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	var minutes atomic.Int64
	log := audit.New(writer, audit.Options{Settings: chained(time.Hour), Now: func() time.Time { return start.Add(time.Duration(minutes.Load()) * time.Minute) }})
	reader()
	id := awaitStats(t, log, func(c audit.ChainStats) bool { return c.Lines == 1 }).ID
	want := audit.ChainStats{ID: id, Key: audit.CheckpointKeyID(chainKey.Public().(ed25519.PublicKey)), Checkpoint: time.Hour, Lines: 1, LastCheckpoint: start}
	if got := log.Stats().Chain; got != want || len(id) != 16 {
		t.Errorf("got %+v", got)
	}
	for n := range uint64(3) {
		minutes.Add(1)
		log.Record(newRecord("allow", "rule_allowed"))
		reader()
		want.Lines, want.Uncovered, want.WaitsSince = n+2, n+1, start.Add(time.Minute)
		if got := awaitStats(t, log, func(c audit.ChainStats) bool { return c.Lines == n+2 }); got != want {
			t.Errorf("got %+v", got)
		}
	}
	minutes.Store(-9) // the clock goes back
	log.Apply(chained(time.Minute))
	reader()
	want.Lines, want.Uncovered, want.Checkpoint, want.WaitsSince, want.LastCheckpoint = 5, 0, time.Minute, time.Time{}, start.Add(-9*time.Minute)
	if got := awaitStats(t, log, func(c audit.ChainStats) bool { return c.Lines == 5 }); got != want {
		t.Errorf("got %+v", got)
	}
	log.Apply(audit.Settings{})
	reader()
	if got := awaitStats(t, log, func(c audit.ChainStats) bool { return c.ID == "" }); got.Failed != 0 {
		t.Errorf("got %+v", got)
	}
}

// awaitStats waits until the writer has gone on after a write.
func awaitStats(t *testing.T, log *audit.Log, isDone func(audit.ChainStats) bool) audit.ChainStats {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; runtime.Gosched() {
		switch got := log.Stats().Chain; {
		case isDone(got):
			return got
		case time.Now().After(deadline):
			t.Fatalf("got %+v", got)
		}
	}
}

// A checkpoint that cannot be written is counted and tried again, also if no record comes.
func TestCheckpointsAreTriedAgain(t *testing.T) {
	reader, writer := newLinePipe(t)
	writer.failures.Store(3)
	log := audit.New(writer, audit.Options{Settings: chained(time.Millisecond)})
	if line := reader(); !audit.VerifyCheckpoint([]byte(line), chainKey.Public().(ed25519.PublicKey)) {
		t.Errorf("got %s", line)
	}
	if got := awaitStats(t, log, func(c audit.ChainStats) bool { return c.Lines == 1 }); got.Failed != 3 || !got.WaitsSince.IsZero() {
		t.Errorf("got %+v", got)
	}
}

// newLinePipe is a sink whose lines the returned function waits for.
func newLinePipe(t *testing.T) (read func() string, sink *linePipe) {
	sink = &linePipe{lines: make(chan string, 100)}
	return func() string {
		t.Helper()
		select {
		case line := <-sink.lines:
			return line
		case <-time.After(time.Minute):
			t.Fatal("no line")
			return ""
		}
	}, sink
}

type linePipe struct {
	lines    chan string
	failures atomic.Int64 // writes to come that fail
}

func (p *linePipe) Write(text []byte) (int, error) {
	if p.failures.Add(-1) >= 0 {
		return 0, syscall.ENOSPC
	}
	for _, line := range strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n") {
		p.lines <- line
	}
	return len(text), nil
}

// Only the exact form that is written is a link, so that a line has one reading.
func TestParseLinkIsStrict(t *testing.T) {
	prev := strings.Repeat("a", 64)
	link := `,"chain":"0123456789abcdef","seq":12,"prev":"` + prev + `"`
	for line, want := range map[string]bool{
		`{"id":"1"` + link + `}`: true,
		`{"id":"1"` + link + `,"sig":"` + strings.Repeat("A", 86) + `"}`: true,
		`{"id":"1"` + link + `,"sig":"` + strings.Repeat("A", 85) + `"}`: false,
		`{"id":"1"` + link + ` }`:                                                            false,
		`{"id":"1"` + link + `,"more":1}`:                                                    false,
		`{"id":"1"` + link + `}}`:                                                            false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"012", 1) + `}`:                       false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"0", 1) + `}`:                         false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"", 1) + `}`:                          false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"-1", 1) + `}`:                        false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"18446744073709551616", 1) + `}`:      false,
		`{"id":"1"` + strings.Replace(link, ":12", ":"+"18446744073709551615", 1) + `}`:      true,
		`{"id":"1"` + strings.Replace(link, prev, strings.ToUpper(prev), 1) + `}`:            false,
		`{"id":"1"` + strings.Replace(link, prev, prev[1:], 1) + `}`:                         false,
		`{"id":"1"` + strings.Replace(link, "0123456789abcdef", "0123456789abcdeg", 1) + `}`: false,
		`{"id":"1","path":"` + strings.ReplaceAll(strings.Trim(link, ","), `"`, `\"`) + `"}`: false,
		`{"id":"1","chain":"`: false,
		``:                    false,
	} {
		if _, _, isLinked := audit.ParseLink([]byte(line)); isLinked != want {
			t.Errorf("%s: got %t", line, isLinked)
		}
	}
}

func TestChainKeys(t *testing.T) {
	private, public, err := audit.FormatChainKey(chainKey)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := audit.ParseChainKey(private); err != nil || !key.Equal(chainKey) {
		t.Errorf("got %v", err)
	}
	if keys, err := audit.ParseCheckpointKeys(append(bytes.Clone(public), public...)); err != nil || len(keys) != 2 || !keys[0].Equal(chainKey.Public()) {
		t.Errorf("got %v, %v", keys, err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherPrivate, err := x509.MarshalPKCS8PrivateKey(curve)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	for _, row := range []struct{ text, want string }{
		{"", `want one PEM block "PRIVATE KEY" with an Ed25519 key: make it with meshpass audit keys new`},
		{string(public), `want one PEM block "PRIVATE KEY" with an Ed25519 key: make it with meshpass audit keys new`},
		{string(private) + string(private), `want one PEM block "PRIVATE KEY" with an Ed25519 key: make it with meshpass audit keys new`},
		{string(encode("PRIVATE KEY", []byte("x"))), "the private key cannot be read: make one with meshpass audit keys new"},
		{string(encode("PRIVATE KEY", otherPrivate)), "want an Ed25519 key: make it with meshpass audit keys new"},
	} {
		if _, err := audit.ParseChainKey([]byte(row.text)); err == nil || err.Error() != row.want {
			t.Errorf("got %v, want %s", err, row.want)
		}
	}
	for _, row := range []struct{ text, want string }{
		{"", `want PEM blocks "PUBLIC KEY" and nothing else`},
		{string(public) + "more", `want PEM blocks "PUBLIC KEY" and nothing else`},
		{string(private), `want PEM blocks "PUBLIC KEY", not "PRIVATE KEY": meshpass audit keys new writes the public key to FILE.pub`},
	} {
		if _, err := audit.ParseCheckpointKeys([]byte(row.text)); err == nil || err.Error() != row.want {
			t.Errorf("got %v, want %s", err, row.want)
		}
	}
}

// BenchmarkChain gives the CPU time of a record, of its caller and of the writer together, with a chain over without one. The
// rounds are interleaved, so that other load of the machine slows both.
func BenchmarkChain(b *testing.B) {
	var with, without time.Duration
	for range b.N {
		without += writeRecords(b, audit.Settings{})
		with += writeRecords(b, chained(time.Minute))
	}
	records := float64(b.N * recordsPerRound)
	b.ReportMetric(float64(without.Nanoseconds())/records, "none-cpu-ns/record")
	b.ReportMetric(float64(with.Nanoseconds())/records, "chain-cpu-ns/record")
	b.ReportMetric(with.Seconds()/without.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op") // of two rounds: it would only mislead
}

const recordsPerRound = 20_000

// writeRecords returns the CPU time of the process while it writes records to a file.
func writeRecords(b *testing.B, settings audit.Settings) time.Duration {
	file, err := logqueue.OpenFile(filepath.Join(b.TempDir(), "audit.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	settings.Queue = 1 << 30
	r := newRecord("allow", "rule_allowed")
	r.Txn, r.Caller, r.Callee, r.Path, r.Sub = "0197a1b2-0001-7000-8000-000000000001", "ns/edge/sa/tyk-gateway", "ns/shop/sa/orders", "/orders/17", "idp:alice"
	r.Inputs = map[string]any{"claims.tctx.tenant": "acme", "claims.scope": "orders.read"}
	runtime.GC()
	before := readCPU(b)
	log := audit.New(file, audit.Options{Settings: settings})
	for range recordsPerRound {
		log.Record(r)
	}
	if err := log.Close(context.Background()); err != nil {
		b.Fatal(err)
	}
	return readCPU(b) - before
}

func readCPU(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
