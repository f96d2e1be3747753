package auditverify

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
)

// newKey makes a TEST KEY.
func newKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, ed25519.SeedSize))
}

var testKey = newKey(7)

var testOptions = Options{Keys: []ed25519.PublicKey{testKey.Public().(ed25519.PublicKey)}}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// trail writes records to a file as a program does.
type trail struct {
	t    testing.TB
	name string
	log  *audit.Log
	n    int
}

func openTrail(t testing.TB, name string) *trail {
	t.Helper()
	file, err := logqueue.OpenFile(name)
	must(t, err)
	key := &audit.Chain{Key: testKey, Checkpoint: time.Hour}
	return &trail{t: t, name: name, log: audit.New(file, audit.Options{Settings: audit.Settings{Chain: key}})}
}

func (w *trail) add(records int) {
	w.t.Helper()
	for range records {
		w.n++
		w.log.Record(audit.Record{Time: time.Now().UTC(), Kind: audit.KindCheck, ID: fmt.Sprint(w.n), Path: fmt.Sprintf("/path/%d", w.n), Sub: "idp:alice",
			Decision: "allow", Reason: "rule_allowed", Authenticated: true})
	}
	must(w.t, w.log.Flush(context.Background()))
}

func (w *trail) end() {
	w.t.Helper()
	must(w.t, w.log.Close(context.Background()))
}

func memory(name string, text []byte) Input {
	return Input{name, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}
}

func onDisk(names ...string) (all []Input) {
	for _, name := range names {
		all = append(all, Input{filepath.Base(name), func() (io.ReadCloser, error) { return os.Open(name) }})
	}
	return all
}

func verify(t testing.TB, o Options, inputs ...Input) Report {
	t.Helper()
	r, err := Verify(inputs, o)
	must(t, err)
	return r
}

// describe is each finding as FILE:LINE kind seq+count.
func describe(r Report) (all []string) {
	for _, f := range r.Findings {
		text := fmt.Sprintf("%s:%d %s %d", f.File, f.Line, f.Kind, f.Seq)
		if f.Count > 1 {
			text += fmt.Sprintf("+%d", f.Count)
		}
		all = append(all, text)
	}
	return all
}

// newChain is a chain with all kinds of lines, which its writer has ended: seq 1 is a checkpoint, 2 to 9 are records, and 10
// is the last checkpoint.
func newChain(t testing.TB) [][]byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	w := openTrail(t, name)
	w.add(8)
	w.end()
	text, err := os.ReadFile(name)
	must(t, err)
	audittest.CheckLines(t, string(text))
	lines := bytes.Split(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(lines) != 10 {
		t.Fatalf("%d lines: %s", len(lines), text)
	}
	return lines
}

func TestAWholeChain(t *testing.T) {
	r := verify(t, testOptions, memory("f", bytes.Join(newChain(t), []byte("\n"))))
	c := r.Chains[0]
	if !r.Verified || len(r.Chains) != 1 || c.First != 1 || c.Last != 10 || c.Covered != 10 || c.Uncovered != 0 || !c.Ended || r.Lines != 10 || len(r.Notes) != 0 {
		t.Errorf("got %+v", r)
	}
}

// Each line of a chain is changed, removed, repeated and moved, in turn: the finding names that line.
func TestEachLineOfAChain(t *testing.T) {
	lines := newChain(t)
	last := len(lines) - 1
	fake := func(line []byte) []byte { return bytes.Replace(line, []byte("alice"), []byte("mallo"), 1) }
	for i := range lines {
		for _, row := range []struct {
			name   string
			change func() [][]byte
			want   string // of the first finding; empty: no finding, and the chain has no end
		}{
			{"removed", func() [][]byte { return slices.Delete(slices.Clone(lines), i, i+1) },
				choose(i == 0, "f:1 removed 1", choose(i == last, "", fmt.Sprintf("f:%d removed %d", i+1, i+1)))},
			{"repeated", func() [][]byte { return slices.Insert(slices.Clone(lines), i, lines[i]) }, fmt.Sprintf("f:%d repeated %d", i+2, i+1)},
			{"repeated at the end", func() [][]byte { return append(slices.Clone(lines), lines[i]) }, fmt.Sprintf("f:11 repeated %d", i+1)},
			{"moved to the end", func() [][]byte { return append(slices.Delete(slices.Clone(lines), i, i+1), lines[i]) },
				choose(i == last, "", fmt.Sprintf("f:%d reordered %d", i+1, i+2))},
			{"moved to the start", func() [][]byte { return slices.Insert(slices.Delete(slices.Clone(lines), i, i+1), 0, lines[i]) },
				choose(i == 0, "", fmt.Sprintf("f:1 reordered %d", i+1))},
			{"a forged line before it", func() [][]byte { return slices.Insert(slices.Clone(lines), i, fake(lines[i])) },
				choose(bytes.Equal(fake(lines[i]), lines[i]), fmt.Sprintf("f:%d repeated %d", i+2, i+1), fmt.Sprintf("f:%d repeated %d", i+1, i+1))},
			{"unreadable", func() [][]byte { l := slices.Clone(lines); l[i] = l[i][:len(l[i])-3]; return l },
				choose(i == 0, "f:2 removed 1", choose(i == last, "", fmt.Sprintf("f:%d removed %d", i+1, i+1)))},
			{"without its link", func() [][]byte {
				l := slices.Clone(lines)
				l[i] = append(slices.Clone(l[i][:bytes.Index(l[i], []byte(`,"chain"`))]), '}')
				return l
			}, fmt.Sprintf("f:%d unchained 0", i+1)},
		} {
			t.Run(fmt.Sprintf("%d %s", i+1, row.name), func(t *testing.T) {
				r, err := Verify([]Input{memory("f", bytes.Join(row.change(), []byte("\n")))}, testOptions)
				must(t, err)
				got := append(describe(r), "")
				if got[0] != row.want || r.Verified != (row.want == "") {
					t.Errorf("got %q, want %q", got, row.want)
				}
				if row.want == "" && row.name != "moved to the end" && row.name != "moved to the start" && r.Chains[0].Ended {
					t.Error("the end was cut off, and the chain has ended")
				}
			})
		}
	}
}

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// Every single byte of every line is changed: the first finding names that line, or that line as perhaps the one.
func TestEachByteOfAChain(t *testing.T) {
	lines := newChain(t)
	for i, line := range lines {
		for at := range line {
			changed := slices.Clone(lines)
			changed[i] = slices.Clone(line)
			changed[i][at] ^= 1
			if changed[i][at] == '\n' {
				continue
			}
			r := verify(t, testOptions, memory("f", bytes.Join(changed, []byte("\n"))))
			here := fmt.Sprintf("f:%d", i+1)
			isNamed := slices.ContainsFunc(r.Findings, func(f Finding) bool { return fmt.Sprintf("%s:%d", f.File, f.Line) == here || f.Perhaps == here })
			isCut := i == len(lines)-1 && len(r.Findings) == 0 && !r.Chains[0].Ended // it is no line of the chain any more
			isFirst := i == 0 && len(r.Findings) > 0 && r.Findings[0].Line == 2 && r.Findings[0].Kind == "removed"
			if !isNamed && !isCut && !isFirst {
				t.Fatalf("line %d byte %d %q: got %q", i+1, at, changed[i], describe(r))
			}
		}
	}
}

// The last character of a signature has four bits that do not count. They cannot be changed either.
func TestTheLastBitsOfASignature(t *testing.T) {
	lines := newChain(t)
	last := lines[9]
	at := len(last) - len(`"}`) - 1
	last[at]++ // of A, Q, g and w, the next one has the same two first bits
	if r := verify(t, testOptions, memory("f", bytes.Join(lines, []byte("\n")))); !slices.Equal(describe(r), []string{"f:10 edited 10"}) {
		t.Errorf("got %q", describe(r))
	}
}

// Neighbours that were both changed are found.
func TestTwoLinesThatWereChanged(t *testing.T) {
	lines := newChain(t)
	for i := 1; i+2 < len(lines); i++ {
		changed := slices.Clone(lines)
		for _, at := range []int{i, i + 1} {
			changed[at] = bytes.Replace(changed[at], []byte("alice"), []byte("mallo"), 1)
		}
		r := verify(t, testOptions, memory("f", bytes.Join(changed, []byte("\n"))))
		if r.Verified || r.Findings[0].Line != i+2 && r.Findings[0].Line != i+1 {
			t.Errorf("lines %d and %d: got %q", i+1, i+2, describe(r))
		}
	}
}

// A writer without the key cannot make a chain again, and cannot add to one that has ended.
func TestAChainThatWasComputedAgain(t *testing.T) {
	lines := newChain(t)
	again := slices.Clone(lines)
	again[4] = bytes.Replace(again[4], []byte("alice"), []byte("mallo"), 1)
	for i := 5; i < len(again); i++ {
		link, _, _ := audit.ParseLink(again[i])
		again[i] = bytes.Replace(again[i], []byte(link.Prev), []byte(audit.HashLine(again[i-1])), 1)
	}
	text := bytes.Join(again, []byte("\n"))
	if r := verify(t, testOptions, memory("f", text)); !slices.Equal(describe(r), []string{"f:10 edited 10"}) || r.Chains[0].Covered != 1 || r.Chains[0].Uncovered != 9 {
		t.Errorf("got %q, %+v", describe(r), r.Chains)
	}
	if r := verify(t, Options{Unsigned: true}, memory("f", text)); !r.Verified || r.Signed {
		t.Errorf("without signatures: got %+v", r)
	}
	added := append(slices.Clone(lines), fmt.Appendf(nil, `{"time":"2026-06-01T12:00:00Z","kind":"check","id":"1","decision":"allow","reason":"public","duration_us":1,"chain":"%s","seq":11,"prev":"%s"}`,
		verify(t, testOptions, memory("f", bytes.Join(lines, []byte("\n")))).Chains[0].ID, audit.HashLine(lines[9])))
	if r := verify(t, testOptions, memory("f", bytes.Join(added, []byte("\n")))); !slices.Equal(describe(r), []string{"f:11 added 11"}) {
		t.Errorf("added after the end: got %q", describe(r))
	}
	other := newKey(8).Public().(ed25519.PublicKey)
	if r := verify(t, Options{Keys: []ed25519.PublicKey{other}}, memory("f", bytes.Join(lines, []byte("\n")))); !slices.Equal(describe(r), []string{"f:1 unknown_key 1"}) {
		t.Errorf("with another key: got %q", describe(r))
	}
	if r := verify(t, Options{Keys: []ed25519.PublicKey{other}}, memory("f", bytes.Join(lines[6:], []byte("\n")))); r.Chains[0].Uncovered != 4 {
		t.Errorf("a part, with another key: got %+v", r.Chains)
	}
}

// A process continues the file of the one before, over rotations, in any order of the files, compressed or not.
func TestRotatedFilesOfSeveralProcesses(t *testing.T) {
	dir := t.TempDir()
	name, old, oldest := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "audit.jsonl.1"), filepath.Join(dir, "audit.jsonl.2.gz")
	w := openTrail(t, name)
	w.add(5)
	must(t, os.Rename(name, old))
	w.add(5)
	w.end() // seq 1 to 13
	must(t, os.WriteFile(oldest, zip(t, read(t, old)), 0o600))
	must(t, os.Rename(name, old))
	must(t, os.WriteFile(name, nil, 0o600))
	w = openTrail(t, name)
	w.add(3)
	w.end()
	w = openTrail(t, name)
	w.add(2)
	w.end()
	for _, names := range [][]string{{oldest, old, name}, {name, old, oldest}, {old, name, oldest}} {
		r := verify(t, Options{Keys: testOptions.Keys, Complete: true}, onDisk(names...)...)
		if !r.Verified || len(r.Chains) != 3 || len(r.Notes) != 0 || r.Lines != 13+5+4 {
			t.Errorf("%v: got %q, %+v, %+v", names, describe(r), r.Notes, r.Chains)
		}
	}
	// Old files may be removed: each file begins with a checkpoint.
	if r := verify(t, testOptions, onDisk(name, old)...); !r.Verified || len(r.Notes) != 1 || r.Notes[0].File != "audit.jsonl.1" || r.Notes[0].Line != 1 {
		t.Errorf("without the oldest file: got %q, %+v", describe(r), r.Notes)
	}
	r := verify(t, Options{Keys: testOptions.Keys, Complete: true}, onDisk(name, old)...)
	if !slices.Equal(describe(r), []string{"audit.jsonl.1:1 removed 7"}) {
		t.Errorf("complete, without the oldest file: got %q", describe(r))
	}
	// A file between two others may not.
	r = verify(t, testOptions, onDisk(name, oldest)...)
	if !r.Verified || r.Chains[2].Ended {
		t.Errorf("without the file between: got %q", describe(r))
	}
	// Of the two chains of one file, the first one is removed.
	lines := bytes.Split(read(t, name), []byte("\n"))
	r = verify(t, testOptions, memory("f", bytes.Join(lines[5:], []byte("\n"))))
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Message, "which is not in these files") {
		t.Errorf("without the first chain: got %+v", r.Notes)
	}
	r = verify(t, testOptions, memory("f", bytes.Join(append(lines[:3:3], lines[5:]...), []byte("\n"))))
	if !slices.Equal(describe(r), []string{"f:4 removed 4+2"}) {
		t.Errorf("without the end of the first chain: got %q", describe(r))
	}
}

// A line that is moved to another file of its chain is found, also if it follows the line before it there.
func TestALineInAnotherFile(t *testing.T) {
	lines := newChain(t)
	first, second := lines[:5:5], lines[5:]
	for name, row := range map[string]struct {
		a, b [][]byte
		want string
	}{
		"to the end of the later file":    {slices.Delete(slices.Clone(first), 2, 3), append(slices.Clone(second), first[2]), fmt.Sprintf("b:%d reordered 3", len(second)+1)},
		"into the later file":             {slices.Delete(slices.Clone(first), 2, 3), slices.Insert(slices.Clone(second), 1, first[2]), "b:2 reordered 3"},
		"to the begin of the former file": {slices.Insert(slices.Clone(first), 0, second[1]), slices.Delete(slices.Clone(second), 1, 2), "a:2 reordered 1"},
	} {
		for _, inputs := range [][]Input{
			{memory("a", bytes.Join(row.a, []byte("\n"))), memory("b", bytes.Join(row.b, []byte("\n")))},
			{memory("b", bytes.Join(row.b, []byte("\n"))), memory("a", bytes.Join(row.a, []byte("\n")))},
		} {
			if r := verify(t, testOptions, inputs...); !slices.Equal(describe(r), []string{row.want}) {
				t.Errorf("%s: got %q", name, describe(r))
			}
		}
	}
}

func zip(t testing.TB, text []byte) []byte {
	t.Helper()
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	_, err := w.Write(text)
	must(t, errors.Join(err, w.Close()))
	return zipped.Bytes()
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	return text
}

// What the last checkpoint does not cover is counted. A head that is kept elsewhere shows that the end was cut off.
func TestTheTail(t *testing.T) {
	lines := newChain(t)
	whole := verify(t, testOptions, memory("f", bytes.Join(lines, []byte("\n"))))
	cut := memory("f", bytes.Join(lines[:7], []byte("\n")))
	r := verify(t, testOptions, cut)
	if c := r.Chains[0]; !r.Verified || c.Ended || c.Covered != 1 || c.Uncovered != 6 || c.CheckpointPlace != "f:1" || c.LastPlace != "f:7" {
		t.Errorf("got %+v", c)
	}
	withHead := Options{Keys: testOptions.Keys, Heads: []Head{{bytes.TrimSpace(whole.Heads()), "head"}}}
	if r := verify(t, withHead, cut); !slices.Equal(describe(r), []string{"f:7 removed 8+3"}) {
		t.Errorf("with a head: got %q", describe(r))
	}
	if r := verify(t, withHead, memory("f", bytes.Join(lines, []byte("\n")))); !r.Verified {
		t.Errorf("with a head, whole: got %q", describe(r))
	}
	if r := verify(t, withHead, memory("f", bytes.Join(newChain(t), []byte("\n")))); !slices.Equal(describe(r), []string{":0 removed 10"}) {
		t.Errorf("with a head of another chain: got %q", describe(r))
	}
	forged := bytes.Replace(bytes.TrimSpace(whole.Heads()), []byte(`"seq":10`), []byte(`"seq":20`), 1)
	if _, err := Verify([]Input{cut}, Options{Keys: testOptions.Keys, Heads: []Head{{forged, "head"}}}); err == nil || err.Error() != "head: the signature of the checkpoint is not valid for the given keys" {
		t.Errorf("a forged head: got %v", err)
	}
}

// A process that is killed in the middle of a line, and the next one in the same file.
func TestALineThatWasCutOff(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	w := openTrail(t, name)
	w.add(4)
	text := read(t, name) // w is not ended: it was killed
	must(t, os.WriteFile(name, append(text, `{"time":"2026-06-01T12:00:00Z","kind":"ch`...), 0o600))
	next := openTrail(t, name)
	next.add(2)
	next.end()
	r := verify(t, testOptions, onDisk(name)...)
	if !r.Verified || len(r.Chains) != 2 || r.Chains[0].Covered != 5 || r.Chains[0].Uncovered != 0 || r.Chains[0].Ended || r.Torn != 1 {
		t.Errorf("got %q, %+v", describe(r), r)
	}
	if len(r.Notes) != 2 || r.Notes[0].Line != 7 || !strings.Contains(r.Notes[0].Message, "41 bytes of a line were cut off") {
		t.Errorf("got %+v", r.Notes)
	}
	// The line before is covered by the next chain: a change there is found, and so is its removal.
	lines := bytes.Split(read(t, name), []byte("\n"))
	changed := slices.Clone(lines)
	changed[4] = bytes.Replace(changed[4], []byte("alice"), []byte("mallo"), 1)
	if r := verify(t, testOptions, memory("f", bytes.Join(changed, []byte("\n")))); !slices.Equal(describe(r), []string{"f:5 edited 5"}) {
		t.Errorf("changed: got %q", describe(r))
	}
	if r := verify(t, testOptions, memory("f", bytes.Join(slices.Delete(lines, 3, 5), []byte("\n")))); !slices.Equal(describe(r), []string{"f:5 removed 4+2"}) {
		t.Errorf("removed: got %q", describe(r))
	}
}

// A process was killed before its records had a checkpoint. The first line of the next process covers them: they cannot be
// changed, not even with more lines between, and in any order of files.
func TestRecordsThatOnlyTheNextChainCovers(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	w := openTrail(t, name)
	w.add(4)
	next := openTrail(t, name) // w was killed
	next.add(2)
	next.end()
	lines := bytes.Split(bytes.TrimSuffix(read(t, name), []byte("\n")), []byte("\n"))
	forged := slices.Clone(lines[:5])
	forged[3] = bytes.Replace(forged[3], []byte("alice"), []byte("mallo"), 1)
	forged = append(forged, nil)
	for i := 4; i < 6; i++ {
		link, _, _ := audit.ParseLink(lines[i-1])
		forged[i] = fmt.Appendf(nil, `{"time":"2026-06-01T12:00:00Z","kind":"check","id":"%d","decision":"allow","reason":"public","duration_us":1,"chain":"%s","seq":%d,"prev":"%s"}`,
			i, link.Chain, i+1, audit.HashLine(forged[i-1]))
	}
	first, second := memory("a", bytes.Join(forged, []byte("\n"))), memory("b", bytes.Join(lines[5:], []byte("\n")))
	for _, inputs := range [][]Input{{first, second}, {second, first}, {memory("b", bytes.Join(append(forged, lines[5:]...), []byte("\n")))}} {
		r := verify(t, testOptions, inputs...)
		if got := describe(r); r.Verified || len(got) != 1 || !strings.HasSuffix(got[0], " edited 5") || r.Chains[0].Covered == 5 {
			t.Errorf("got %q, %+v", got, r.Chains)
		}
	}
	// The two processes overlapped: the first one wrote another line when the second one had begun.
	whole := append(slices.Clone(lines[:5]), slices.Clone(forged[5]))
	whole[5] = bytes.Replace(whole[5], []byte(audit.HashLine(forged[4])), []byte(audit.HashLine(lines[4])), 1)
	first = memory("a", bytes.Join(whole, []byte("\n")))
	for _, inputs := range [][]Input{{first, second}, {second, first}} {
		if r := verify(t, testOptions, inputs...); !r.Verified {
			t.Errorf("overlapped: got %q", describe(r))
		}
	}
}

// Chains of several writers in one file, and lines of a log between them.
func TestSeveralWritersOfOneFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	a := openTrail(t, name)
	a.add(3)
	b := openTrail(t, name)
	for range 3 {
		b.add(2)
		a.add(1)
	}
	file, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.WriteString("level=info msg=hello\n{\"level\":\"info\"}\n\n")
	must(t, errors.Join(err, file.Close()))
	a.end()
	b.end()
	r := verify(t, Options{Keys: testOptions.Keys, Complete: true}, onDisk(name)...)
	if !r.Verified || len(r.Chains) != 2 || r.OtherLines != 2 || r.Chains[0].Uncovered+r.Chains[1].Uncovered != 0 {
		t.Errorf("got %q, %+v", describe(r), r)
	}
}

func TestRecordsWithoutAChain(t *testing.T) {
	record := `{"time":"2026-06-01T12:00:00Z","kind":"check","id":"1","decision":"allow","reason":"public","duration_us":1}` + "\n"
	if _, err := Verify([]Input{memory("f", []byte("hello\n"))}, testOptions); !errors.Is(err, ErrNoChain) {
		t.Errorf("got %v", err)
	}
	if r := verify(t, testOptions, memory("f", []byte(record))); !slices.Equal(describe(r), []string{"f:1 unchained 0"}) {
		t.Errorf("got %q", describe(r))
	}
	text := append([]byte(record), bytes.Join(newChain(t), []byte("\n"))...)
	if r := verify(t, testOptions, memory("f", text)); !slices.Equal(describe(r), []string{"f:1 unchained 0"}) {
		t.Errorf("got %q", describe(r))
	}
	if r := verify(t, Options{Keys: testOptions.Keys, AllowUnchained: true}, memory("f", text)); !r.Verified || r.Unchained != 1 {
		t.Errorf("allowed: got %q", describe(r))
	}
}

// A record that is in no chain is found in each form in which some program would read it.
func TestRecordsThatAreHidden(t *testing.T) {
	record := `{"time":"2026-06-01T12:00:00Z","kind":"check","id":"1","decision":"allow","reason":"public","duration_us":1}`
	quoted, err := json.Marshal(record)
	must(t, err)
	for _, line := range []string{
		" " + record, "\t" + record, "\ufeff" + record, record + "\r", record + " ", "\x00" + record, `{"level":"info"}` + record, `{"level":"info"} ` + record, record + `{"a":1}`, "{x" + record, "[" + record + "]",
		"2026-06-01T12:00:00Z " + record, "2026-06-01T12:00:00Z stdout F " + record, fmt.Sprintf(`{"log":%s,"stream":"stdout"}`, quoted), record + "}", record + ",",
		strings.Replace(record, `"check"`, `"check","kind":"x"`, 1), strings.Replace(record, `"check"`, `"check","Kind":7`, 1), strings.Replace(record, `"kind"`, `"KIND"`, 1),
		strings.Replace(record, `"kind"`, `"\u006bind"`, 1), strings.Replace(record, `"check"`, `"\u0063heck"`, 1), strings.Replace(record, `:"check"`, ` : "check"`, 1),
		strings.Repeat("{", 1000) + record, strings.Repeat("{} ", 1000) + record, record[:len(record)-1] + `,"path":"` + strings.Repeat("a", maxLine) + `"}`,
	} {
		text := append(bytes.Join(newChain(t), []byte("\n")), "\n"+line+"\n"...)
		if r := verify(t, testOptions, memory("f", text)); !slices.Equal(describe(r), []string{"f:11 unchained 0"}) {
			t.Errorf("%.200q: got %q", line, describe(r))
		}
	}
	for _, line := range []string{"hello", "{", `{"level":"info","kind":"Pod"}`, record[:60], `{"a":{"kind":"check"}}`, `{"log":"hello"}`} {
		text := append(bytes.Join(newChain(t), []byte("\n")), "\n"+line+"\n"...)
		if r := verify(t, testOptions, memory("f", text)); !r.Verified || r.OtherLines+r.Torn != 1 {
			t.Errorf("%.200q: got %q", line, describe(r))
		}
	}
}

// One line in three is in the wrong place: memory is bounded, and the report ends.
func TestFilesWithTooManyBreaks(t *testing.T) {
	var text bytes.Buffer
	for i := range maxFragments + 10 {
		fmt.Fprintf(&text, "{\"kind\":\"check\",\"chain\":\"0123456789abcdef\",\"seq\":%d,\"prev\":\"%064x\"}\n", i+1, i+1)
	}
	r := verify(t, testOptions, memory("f", text.Bytes()))
	last := describe(r)[len(r.Findings)-1]
	if r.Verified || r.Count < maxFindings || len(r.Findings) != maxFindings || !slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == "too_many_breaks" }) {
		t.Errorf("got %d findings, the last one %s", r.Count, last)
	}
}

// FuzzVerify: after any change, a file is not called verified unless all lines of the chain are there, in their order.
func FuzzVerify(f *testing.F) {
	lines := newChain(f)
	whole := bytes.Join(lines, []byte("\n"))
	f.Add(uint16(0), uint16(0), []byte(nil))
	f.Add(uint16(100), uint16(1), []byte("x"))
	f.Add(uint16(500), uint16(0), []byte("\n"))
	f.Add(uint16(len(lines[0])+1), uint16(len(lines[1])+1), []byte(nil))
	f.Add(uint16(len(lines[0])), uint16(1), []byte("\n{}\n"))
	f.Add(uint16(0), uint16(len(whole)-len(lines[9])-1), []byte(nil))
	f.Fuzz(func(t *testing.T, at, cut uint16, put []byte) {
		from := int(at) % (len(whole) + 1)
		to := min(from+int(cut), len(whole))
		text := append(append(slices.Clone(whole[:from]), put...), whole[to:]...)
		r, err := Verify([]Input{memory("f", text)}, Options{Keys: testOptions.Keys, Complete: true})
		if err != nil || !r.Verified {
			return
		}
		left := lines
		for _, line := range bytes.Split(text, []byte("\n")) {
			if len(left) > 0 && bytes.Equal(line, left[0]) {
				left = left[1:]
			} else if _, _, isLinked := audit.ParseLink(line); isLinked {
				t.Fatalf("verified with the line %s", line)
			}
		}
		if c := r.Chains[0]; len(left) > 0 && (c.Ended || c.Last+uint64(len(left)) != uint64(len(lines))) {
			t.Fatalf("verified without %d lines: %s", len(left), text)
		}
	})
}
