package auditverify

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// unreliable is a sink whose writes fail now and then, after a part of the text.
type unreliable struct {
	random *rand.Rand
	text   bytes.Buffer
	failed int
	fixed  bool
}

func (u *unreliable) Write(text []byte) (int, error) {
	if u.fixed || u.random.IntN(3) > 0 {
		return u.text.Write(text)
	}
	u.failed++
	n := u.random.IntN(len(text) + 1)
	if u.random.IntN(3) == 0 {
		n = len(text) - 1 // all but the last newline
	}
	u.text.Write(text[:n])
	return n, syscall.ENOSPC
}

// Writes that fail, anywhere in a line, leave a chain that is whole: a line that was written in part is no line of it.
func TestWritesThatFail(t *testing.T) {
	failed := 0
	for seed := range uint64(30) {
		sink := &unreliable{random: rand.New(rand.NewPCG(seed, 1))}
		log := audit.New(sink, audit.Options{Settings: audit.Settings{Chain: &audit.Chain{Key: testKey, Checkpoint: time.Hour}}})
		for i := range 40 {
			log.Record(audit.Record{Time: time.Now().UTC(), Kind: audit.KindCheck, ID: fmt.Sprint(i), Decision: "allow", Reason: "public"})
			if i%3 == 0 {
				must(t, log.Flush(context.Background()))
			}
		}
		must(t, log.Flush(context.Background()))
		sink.fixed = true
		must(t, log.Close(context.Background()))
		r := verify(t, testOptions, memory("f", sink.text.Bytes()))
		c := r.Chains[0]
		if !r.Verified || len(r.Chains) != 1 || !c.Ended || c.Uncovered != 0 || r.Unchained != 0 || r.Records["check"] < 40-uint64(sink.failed) {
			t.Fatalf("seed %d: %q, %+v\n%s", seed, describe(r), r, sink.text.String())
		}
		if lost := r.Gaps["no_space"]; lost != log.Stats().Lost[logqueue.NoSpace] {
			t.Errorf("seed %d: the gaps count %d, lost are %d", seed, lost, log.Stats().Lost[logqueue.NoSpace])
		}
		failed += sink.failed
	}
	if failed < 60 {
		t.Errorf("only %d writes failed", failed)
	}
}

// A file that is truncated in place begins with a checkpoint too, and so does one that is opened again on request.
func TestFilesBeginWithACheckpoint(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	w := openTrail(t, name)
	w.add(5)
	first := read(t, name)
	must(t, os.Truncate(name, 0))
	w.add(2)
	second := read(t, name)
	must(t, os.Rename(name, name+".1"))
	w.log.Reopen()
	must(t, w.log.Flush(context.Background()))
	w.end()
	third := read(t, name)
	for i, text := range [][]byte{first, second, third} {
		if line, _, _ := bytes.Cut(text, []byte("\n")); !bytes.Contains(line, []byte(`"kind":"checkpoint"`)) {
			t.Errorf("file %d begins with %s", i+1, line)
		}
		verify(t, testOptions, memory("f", text))
	}
	if r := verify(t, Options{Keys: testOptions.Keys, Complete: true}, memory("c", third), memory("b", second), memory("a", first)); !r.Verified || len(r.Chains) != 1 || !r.Chains[0].Ended {
		t.Errorf("got %q", describe(r))
	}
}

// A chain is switched on, gets another key and another time between checkpoints, and is switched off, while records are written.
func TestSettingsOfARunningChain(t *testing.T) {
	second := newKey(9)
	var text bytes.Buffer
	log := audit.New(&text, audit.Options{})
	record := func() {
		log.Record(audit.Record{Time: time.Now().UTC(), Kind: audit.KindCheck, ID: "1", Decision: "allow", Reason: "public"})
		must(t, log.Flush(context.Background()))
	}
	record()
	for _, chain := range []*audit.Chain{{Key: testKey, Checkpoint: time.Hour}, {Key: newKey(7), Checkpoint: time.Minute}, {Key: second, Checkpoint: time.Minute}, nil, {Key: testKey, Checkpoint: time.Hour}} {
		log.Apply(audit.Settings{Chain: chain})
		record()
	}
	must(t, log.Close(context.Background()))
	r := verify(t, Options{Keys: append(slices.Clone(testOptions.Keys), second.Public().(ed25519.PublicKey)), AllowUnchained: true}, memory("f", text.Bytes()))
	if !r.Verified || len(r.Chains) != 2 || !r.Chains[0].Ended || !r.Chains[1].Ended || r.Unchained != 2 || r.Records["checkpoint"] != 6 || r.Records["check"] != 4 {
		t.Errorf("got %q, %+v", describe(r), r)
	}
}
