package gateway_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/audittest"
	"github.com/meshpass/meshpass/shared/audit"
)

// With audit.chain, the lines of the plugin in the gateway's standard output are a chain whose checkpoints are signed.
func TestTheChainOfTheGateway(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)) // a TEST KEY
	private, public, err := audit.FormatChainKey(key)
	must(t, err)
	var written []byte
	output := ""
	r := startAudited(t, "chain: {key: chain.pem, checkpoint: 1s}", func(name string) {
		output = name
		must(t, os.WriteFile(strings.TrimSuffix(name, "audit.log")+"chain.pem", private, 0o600))
		must(t, os.WriteFile(name, nil, 0o600))
	})
	const requests = 5
	for range requests {
		if got := r.canary(t); got.claims == nil {
			t.Fatalf("got %+v: want a token", got.answer)
		}
	}
	var issued, checkpoints int
	r.awaitSamples(t, "no checkpoint covers the records", func() bool {
		issued, checkpoints = 0, 0
		text, err := os.ReadFile(output)
		must(t, err)
		written = text[:bytes.LastIndexByte(text, '\n')+1]
		next := audit.Link{Prev: audit.NoLine}
		isCovered := false
		for line := range bytes.SplitSeq(written, []byte("\n")) {
			link, sig, isLinked := audit.ParseLink(line)
			if !isLinked {
				continue // of Tyk's own
			}
			must(t, audittest.CheckLine(line))
			if next.Chain == "" {
				next.Chain = link.Chain
			}
			if next.Seq++; link != next {
				t.Fatalf("got %+v, want %+v: %s", link, next, line)
			}
			next.Prev = audit.HashLine(line)
			if isCovered = sig != ""; isCovered {
				checkpoints++
				if !audit.VerifyCheckpoint(line, key.Public().(ed25519.PublicKey)) {
					t.Fatalf("the signature is not valid: %s", line)
				}
			}
			var record audit.Record
			must(t, json.Unmarshal(line, &record))
			if record.Kind == audit.KindIssue {
				issued++
			}
		}
		return isCovered && issued >= requests
	})
	if checkpoints < 2 {
		t.Errorf("%d checkpoints", checkpoints)
	}
	testEachLine(t, public, written)
}

// finding is one of `meshpass audit verify -o json`.
type finding struct {
	Kind    string
	Line    int
	Seq     uint64
	Perhaps string
}

// testEachLine changes each line of the chain in a trail, in turn: `meshpass audit verify` names it.
func testEachLine(t *testing.T, public, trail []byte) {
	t.Helper()
	program, err := repo.Bin("meshpass", "build")
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "pub"), public, 0o600))
	verify := func(lines []string, flags ...string) (found []finding) {
		t.Helper()
		must(t, os.WriteFile(filepath.Join(dir, "f"), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
		command := exec.CommandContext(t.Context(), program, append([]string{"audit", "verify", "--key", "pub", "-o", "json", "f"}, flags...)...)
		command.Dir = dir
		answer, err := command.Output()
		var report struct {
			Verified bool
			Findings []finding
		}
		must(t, json.Unmarshal(answer, &report))
		if code := command.ProcessState.ExitCode(); code > 1 || report.Verified != (code == 0) || report.Verified != (len(report.Findings) == 0) {
			t.Fatalf("exit code %d, %v: %s", code, err, answer)
		}
		return report.Findings
	}
	lines := strings.Split(strings.TrimSuffix(string(trail), "\n"), "\n")
	if found := verify(lines, "--complete", "--write-head", "head"); len(found) > 0 {
		t.Fatalf("the trail as it was written: got %+v", found)
	}
	before := -1 // the line before in the chain
	for i, line := range lines {
		link, _, isLinked := audit.ParseLink([]byte(line))
		if !isLinked {
			continue
		}
		for change, row := range map[string]struct {
			lines []string
			want  func(finding) bool
		}{
			"removed":  {slices.Delete(slices.Clone(lines), i, i+1), func(f finding) bool { return f.Kind == "removed" && f.Seq == link.Seq }},
			"repeated": {slices.Insert(slices.Clone(lines), i, line), func(f finding) bool { return f.Kind == "repeated" && f.Line == i+2 }},
			"edited": {slices.Replace(slices.Clone(lines), i, i+1, strings.Replace(line, `"time":"2`, `"time":"1`, 1)), func(f finding) bool {
				return f.Kind == "edited" && (f.Line == i+1 || f.Perhaps == fmt.Sprintf("f:%d", i+1))
			}},
			"moved": {moveLine(lines, i, before), func(f finding) bool { return f.Kind == "reordered" && f.Line == before+1 && f.Seq == link.Seq }},
		} {
			if change == "moved" && before < 0 {
				continue
			}
			if found := verify(row.lines, "--complete", "--head", "head"); !slices.ContainsFunc(found, row.want) {
				t.Errorf("line %d %s: got %+v", i+1, change, found)
			}
		}
		before = i
	}
}

// moveLine moves a line before an earlier one.
func moveLine(lines []string, from, to int) []string {
	return slices.Insert(slices.Delete(slices.Clone(lines), from, from+1), max(to, 0), lines[from])
}
