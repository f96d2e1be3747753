package auditverify

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/shared/audit"
)

// A party without the key removes, repeats, moves, changes and adds lines, and computes hashes again. If the trail is still called
// verified, each line that is called covered is as it was written, and the lines of a file are in their order.
func TestNoChangeIsCalledCovered(t *testing.T) {
	name := filepath.Join(t.TempDir(), "audit.jsonl")
	for i := range 5 {
		w := openTrail(t, name)
		w.add(3)
		if i%2 == 1 {
			w.end() // the others are killed
		}
	}
	lines := bytes.Split(bytes.TrimSuffix(read(t, name), []byte("\n")), []byte("\n"))
	written := map[lineKey]string{}
	for _, line := range lines {
		link, _, _ := audit.ParseLink(line)
		written[lineKey{link.Chain, link.Seq}] = string(line)
	}
	random := rand.New(rand.NewPCG(1, 2))
	verified := 0
	for range 1000 {
		files := [][][]byte{slices.Clone(lines)}
		for range 1 + random.IntN(4) {
			tamper(random, &files)
		}
		var inputs []Input
		for _, file := range files {
			inputs = append(inputs, memory("f", bytes.Join(file, []byte("\n"))))
		}
		for _, complete := range []bool{false, true} {
			r, err := Verify(inputs, Options{Keys: testOptions.Keys, Complete: complete})
			if err != nil || !r.Verified {
				continue
			}
			verified++
			requireCovered(t, r, files, written)
		}
		if t.Failed() {
			return
		}
	}
	if verified < 10 {
		t.Errorf("only %d trails were verified", verified)
	}
}

// tamper makes one change.
func tamper(random *rand.Rand, files *[][][]byte) {
	which := random.IntN(len(*files))
	file := &(*files)[which]
	if len(*file) == 0 {
		return
	}
	at, to := random.IntN(len(*file)), random.IntN(len(*file))
	switch line := (*file)[at]; random.IntN(9) {
	case 0:
		*file = slices.Delete(slices.Clone(*file), min(at, to), max(at, to)) // a part
	case 1:
		*file = slices.Insert(slices.Clone(*file), to, line)
	case 2:
		*file = slices.Insert(slices.Delete(slices.Clone(*file), at, at+1), to, line)
	case 3, 4, 5:
		changeAndHash(*file, at)
	case 6: // one line more, after the last one of a chain
		link, _, isLinked := audit.ParseLink(line)
		if last := lineBefore(*file, len(*file), link.Chain); isLinked {
			link, _, _ = audit.ParseLink(last)
			link.Seq, link.Prev = link.Seq+1, audit.HashLine(last)
			at = slices.IndexFunc(*file, func(other []byte) bool { return bytes.Equal(other, last) })
			*file = slices.Insert(slices.Clone(*file), at+1, forgeLine(link))
		}
	case 7:
		rest := slices.Clone((*file)[at:])
		*file = (*file)[:at:at]
		*files = append(*files, rest)
	case 8: // to another file
		other := &(*files)[random.IntN(len(*files))]
		*file = slices.Delete(slices.Clone(*file), at, at+1)
		*other = slices.Insert(slices.Clone(*other), random.IntN(len(*other)+1), line)
	}
}

// changeAndHash changes a line, and the hashes in the lines of its chain that follow, up to a signed one.
func changeAndHash(file [][]byte, at int) {
	link, _, isLinked := audit.ParseLink(file[at])
	if !isLinked {
		return
	}
	before := audit.HashLine(file[at])
	file[at] = bytes.Replace(file[at], []byte("alice"), []byte("mallo"), 1)
	for i := at + 1; i < len(file); i++ {
		next, sig, isLinked := audit.ParseLink(file[i])
		if !isLinked || next.Chain != link.Chain || next.Prev != before {
			continue
		}
		if sig != "" {
			return
		}
		old := audit.HashLine(file[i])
		file[i] = bytes.Replace(file[i], []byte(before), []byte(audit.HashLine(lineBefore(file, i, link.Chain))), 1)
		before = old
	}
}

// lineBefore is the last line of the chain before a line.
func lineBefore(file [][]byte, at int, chain string) []byte {
	for i := at - 1; i >= 0; i-- {
		if link, _, isLinked := audit.ParseLink(file[i]); isLinked && link.Chain == chain {
			return file[i]
		}
	}
	return nil
}

func forgeLine(link audit.Link) []byte {
	text, _ := json.Marshal(link)
	return []byte(`{"time":"2026-06-01T12:00:00Z","kind":"check","id":"f","decision":"allow","reason":"public","duration_us":1,` + strings.TrimPrefix(string(text), "{"))
}

// requireCovered checks that a verified trail has exactly the lines that were written, as far as it is called covered.
func requireCovered(t *testing.T, r Report, files [][][]byte, written map[lineKey]string) {
	t.Helper()
	found := map[lineKey]bool{}
	for _, file := range files {
		last := map[string]uint64{}
		for _, line := range file {
			link, _, isLinked := audit.ParseLink(line)
			if !isLinked {
				continue
			}
			if link.Seq < last[link.Chain] {
				t.Errorf("in another order than it was written: %s", line)
			}
			last[link.Chain] = link.Seq
			key := lineKey{link.Chain, link.Seq}
			c := r.Chains[slices.IndexFunc(r.Chains, func(c Chain) bool { return c.ID == link.Chain })]
			if link.Seq <= c.Covered && string(line) != written[key] {
				t.Errorf("covered, and not as it was written: %s", line)
			}
			found[key] = true
		}
	}
	for _, c := range r.Chains {
		for seq := c.First; seq <= min(c.Covered, c.Last); seq++ {
			if !found[lineKey{c.ID, seq}] {
				t.Errorf("covered, and removed: seq %d of %s", seq, c.ID)
			}
		}
	}
	if t.Failed() {
		for i, file := range files {
			t.Logf("file %d:\n%s", i, bytes.Join(file, []byte("\n")))
		}
		t.Logf("%+v", r.Chains)
	}
}
