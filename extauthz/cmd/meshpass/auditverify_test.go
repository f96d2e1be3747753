package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/meshpass/meshpass/extauthz/internal/auditverify"
	"github.com/meshpass/meshpass/internal/audittest"
)

// newChainKey makes a key by the command, and returns its file.
func newChainKey(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "audit.pem")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"audit", "keys", "new", key}, nil, &stdout, &stderr); code != 0 {
		t.Fatal(stderr.String())
	}
	return key
}

// verifyTrail runs the command, and wants its exit code to agree with its answer.
func verifyTrail(t *testing.T, key string, args ...string) auditverify.Report {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"audit", "verify", "-o", "json", "--key", key + ".pub"}, args...), nil, &stdout, &stderr)
	var r auditverify.Report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil || code > 1 || r.Verified != (code == 0) {
		t.Fatalf("exit code %d, %v: %s%s", code, err, stdout.String(), stderr.String())
	}
	return r
}

// The trail of three processes: one is killed in the middle of a line, one rotates the file, and one loses records. Every
// line is then removed, repeated, changed and moved in turn, and the finding names it.
func TestTheChainOfTheAuthorizer(t *testing.T) {
	key, file := newChainKey(t), filepath.Join(t.TempDir(), "audit.jsonl")
	section := fmt.Sprintf("{output: %s, sampleAllowed: 1.0, chain: {key: %s, checkpoint: 1s}}", file, key)
	start := func() *authorizer { return serving(t, section, nil) }
	written := "meshpass_audit_records_written_total"

	killed := start()
	killed.ask(t, 3, nil)
	killed.await(t, written, 3)
	must(t, killed.Process.Signal(syscall.SIGKILL))
	<-killed.exited
	half, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = half.WriteString(`{"time":"2026-06-01T12:00:00Z","kind":"check","id":"0197`) // what a kill in a write leaves
	must(t, err)
	must(t, half.Close())

	rotating := start()
	rotating.ask(t, 2, nil)
	rotating.await(t, written, 2)
	must(t, os.Rename(file, file+".1"))
	must(t, rotating.Process.Signal(syscall.SIGHUP))
	rotating.ask(t, 2, nil)
	rotating.await(t, written, 4)
	rotating.end(t)

	last := start()
	last.ask(t, 1, nil)
	last.end(t)

	r := verifyTrail(t, key, "--complete", file, file+".1")
	if len(r.Chains) != 3 || r.Count != 0 || r.Records["check"] != 8 || r.Torn != 1 {
		t.Fatalf("got %+v", r)
	}
	for _, c := range r.Chains {
		if c.Uncovered != 0 {
			t.Errorf("%d lines of chain %s are not covered", c.Uncovered, c.ID)
		}
	}
	if note := r.Notes[0]; note.File != file+".1" || !strings.Contains(note.Message, "56 bytes of a line were cut off") {
		t.Errorf("got %+v", r.Notes)
	}
	heads := filepath.Join(t.TempDir(), "head.jsonl")
	verifyTrail(t, key, "--write-head", heads, file, file+".1")
	for _, name := range []string{file, file + ".1"} {
		testEachLine(t, key, heads, name, file, file+".1")
	}
}

// testEachLine changes one file of a trail, line by line.
func testEachLine(t *testing.T, key, heads, name string, files ...string) {
	t.Helper()
	text, err := os.ReadFile(name)
	must(t, err)
	defer func() { must(t, os.WriteFile(name, text, 0o600)) }()
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for i, line := range lines {
		if audittest.CheckLine([]byte(line)) != nil {
			continue // the line that was cut off is no record
		}
		before := choose(i > 0, i-1, len(lines)-1)
		for change, changed := range map[string][]string{
			"removed":  slices.Delete(slices.Clone(lines), i, i+1),
			"repeated": slices.Insert(slices.Clone(lines), i, line),
			"edited":   slices.Replace(slices.Clone(lines), i, i+1, strings.Replace(line, `"time":"2`, `"time":"1`, 1)),
			"moved":    slices.Insert(slices.Delete(slices.Clone(lines), i, i+1), before, line),
		} {
			if change == "moved" && audittest.CheckLine([]byte(lines[before])) != nil {
				continue
			}
			must(t, os.WriteFile(name, []byte(strings.Join(changed, "\n")+"\n"), 0o600))
			r := verifyTrail(t, key, append([]string{"--complete", "--head", heads}, files...)...)
			if r.Verified || !isNearLine(r.Findings, name, i+1, change, len(lines)) {
				t.Errorf("%s:%d %s: got %+v", filepath.Base(name), i+1, change, r.Findings)
			}
		}
	}
}

// isNearLine reports whether a finding names the line itself; of a removed line, the one before it or the one in its place;
// of a moved line, its neighbour or itself.
func isNearLine(findings []auditverify.Finding, name string, line int, change string, lines int) bool {
	near := map[string][]int{"removed": {line, line - 1}, "repeated": {line + 1}, "edited": {line}, "moved": {line, line - 1, line + 1, lines}}[change]
	return slices.ContainsFunc(findings, func(f auditverify.Finding) bool {
		if change == "removed" && strings.Contains(f.Message, fmt.Sprintf(", after %s:%d", name, line-1)) {
			return true
		}
		return f.File == name && slices.Contains(near, f.Line) || f.Perhaps == fmt.Sprintf("%s:%d", name, line)
	})
}

func choose[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// Standard output of a process carries a chain too, with lines of other writers between.
func TestTheChainOfStandardOutput(t *testing.T) {
	key, name := newChainKey(t), filepath.Join(t.TempDir(), "stdout")
	stdout, err := os.Create(name)
	must(t, err)
	defer stdout.Close()
	_, err = stdout.WriteString("starting\n")
	must(t, err)
	a := serving(t, "{chain: {key: "+key+"}}", stdout)
	a.ask(t, 3, nil)
	a.await(t, "meshpass_audit_chain_unsigned_lines", 3)
	var text, stderr bytes.Buffer
	if code := run(t.Context(), []string{"status", a.ops}, nil, &text, &stderr); code != 0 ||
		!regexp.MustCompile(`\n  audit chain  [0-9a-f]{16}, lines 4, last checkpoint [0-9ms]+ ago, 3 lines since, failed checkpoints 0, key [0-9A-Za-z_-]{43}\n`).MatchString(text.String()) {
		t.Errorf("exit code %d: %s%s", code, &text, &stderr)
	}
	a.end(t)
	r := verifyTrail(t, key, "--complete", name)
	if len(r.Chains) != 1 || !r.Chains[0].Ended || r.Records["check"] != 3 || r.OtherLines != 1 {
		t.Errorf("got %+v", r)
	}
}

// Two processes that write to one file, as during a rollout with a shared volume, have two chains, and both are whole.
func TestTheChainsOfTwoProcessesInOneFile(t *testing.T) {
	key, file := newChainKey(t), filepath.Join(t.TempDir(), "audit.jsonl")
	section := fmt.Sprintf("{output: %s, chain: {key: %s, checkpoint: 1s}}", file, key)
	first, second := serving(t, section, nil), serving(t, section, nil)
	both := make(chan int)
	for _, a := range []*authorizer{first, second} {
		go func() { defer func() { both <- 0 }(); a.ask(t, 200, nil) }()
	}
	<-both
	<-both
	must(t, os.Rename(file, file+".1"))
	first.ask(t, 5, nil)
	second.ask(t, 5, nil)
	first.end(t)
	second.end(t)
	r := verifyTrail(t, key, "--complete", file, file+".1")
	if !r.Verified || len(r.Chains) != 2 || !r.Chains[0].Ended || !r.Chains[1].Ended || r.Records["check"] != 410 || r.Torn != 0 || r.OtherLines != 0 {
		t.Errorf("got %+v", r)
	}
}

// A key that was replaced between two processes verifies its part only: the other part is named until both keys are given. A key
// that nobody has signed with verifies nothing.
func TestTheChainsOfTwoKeys(t *testing.T) {
	first, second, other, file := newChainKey(t), newChainKey(t), newChainKey(t), filepath.Join(t.TempDir(), "audit.jsonl")
	for _, key := range []string{first, second} {
		a := serving(t, fmt.Sprintf("{output: %s, chain: {key: %s}}", file, key), nil)
		a.ask(t, 2, nil)
		a.end(t)
	}
	for _, row := range []struct {
		key  string
		args []string
		want []string // kinds of findings
	}{
		{first, []string{"--key", second + ".pub"}, nil},
		{first, nil, []string{"unknown_key"}},
		{second, nil, []string{"unknown_key"}},
		{other, nil, []string{"unknown_key", "unknown_key"}},
	} {
		var kinds []string
		for _, f := range verifyTrail(t, row.key, append(row.args, file)...).Findings {
			kinds = append(kinds, f.Kind)
		}
		if !slices.Equal(kinds, row.want) {
			t.Errorf("%s %s: got %q, want %q", row.key, row.args, kinds, row.want)
		}
	}
}

// While the disk is full, the checkpoints that cannot be written are counted, and the chain is whole when it has room again.
func TestTheChainOnAFullDisk(t *testing.T) {
	key, link, disk := newChainKey(t), filepath.Join(t.TempDir(), "audit.jsonl"), filepath.Join(t.TempDir(), "disk")
	must(t, os.Symlink("/dev/full", link))
	a := serving(t, fmt.Sprintf("{output: %s, chain: {key: %s, checkpoint: 1s}}", link, key), nil)
	a.ask(t, 5, nil)
	a.await(t, fmt.Sprintf(lost, "no_space"), 5)
	if a.metric(t, "meshpass_audit_chain_checkpoint_failures_total") == 0 || a.metric(t, "meshpass_audit_chain_last_checkpoint_timestamp_seconds") != 0 {
		t.Error("a checkpoint was written to a full disk")
	}
	if _, text := a.get(t, "/readyz"); !strings.Contains(text, "audit: the last write to "+link+" failed: ") || !strings.Contains(text, ", no checkpoint yet, ") {
		t.Errorf("readyz: %s", text)
	}
	must(t, os.Symlink(disk, link+".new"))
	must(t, os.Rename(link+".new", link))
	a.ask(t, 1, nil)
	a.end(t)
	if r := verifyTrail(t, key, "--complete", disk); !r.Verified || len(r.Chains) != 1 || !r.Chains[0].Ended || r.Records["check"] != 1 || r.Gaps["no_space"] != 5 {
		t.Errorf("got %+v", r)
	}
}

// A file that is removed while its process writes leaves a chain without its first lines, as a file whose time is over does: a note
// says that they are missing, and with --complete they are a finding.
func TestTheChainOfAFileThatIsRemoved(t *testing.T) {
	key, file := newChainKey(t), filepath.Join(t.TempDir(), "audit.jsonl")
	a := serving(t, fmt.Sprintf("{output: %s, chain: {key: %s, checkpoint: 1h}}", file, key), nil)
	a.ask(t, 3, nil)
	a.await(t, "meshpass_audit_records_written_total", 3)
	must(t, os.Remove(file))
	a.ask(t, 2, nil)
	a.end(t)
	r := verifyTrail(t, key, file)
	if !r.Verified || r.Records["check"] != 2 || len(r.Notes) != 1 || !strings.Contains(r.Notes[0].Message, "begins at seq 5: the 4 lines before are not in these files") {
		t.Errorf("got %+v", r)
	}
	if r := verifyTrail(t, key, "--complete", file); r.Verified || len(r.Findings) != 1 || r.Findings[0].Kind != "removed" {
		t.Errorf("got %+v", r)
	}
}
