package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/meshpass/meshpass/internal/audittest"
)

// decide asks once, and gives "allow" or the status and reason of the denial.
func (a *authorizer) decide(t *testing.T) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answer, err := a.client.Check(ctx, requestReports(nil))
	if err != nil {
		t.Fatal(err)
	}
	denied := answer.GetDeniedResponse()
	if denied == nil {
		return "allow"
	}
	var body struct{ Reason string }
	must(t, json.Unmarshal([]byte(denied.GetBody()), &body))
	return fmt.Sprintf("%d %s", denied.GetStatus().GetCode(), body.Reason)
}

const unavailable = "503 audit_unavailable"

// requireUnavailable wants requests denied for want of a record, and a replica that stays ready and shows why.
func (a *authorizer) requireUnavailable(t *testing.T, times int, cause string) {
	t.Helper()
	for range times {
		if got := a.decide(t); got != unavailable {
			t.Fatalf("got %s", got)
		}
	}
	code, text := a.get(t, "/readyz?verbose")
	if code != 200 || !strings.Contains(text, ", required\n") || !strings.Contains(text, cause) {
		t.Errorf("readyz: %d, %s", code, text)
	}
}

// awaitAllow asks until a request is allowed, and gives how many were denied before.
func (a *authorizer) awaitAllow(t *testing.T) (denied int) {
	t.Helper()
	for end := time.Now().Add(patience); ; denied++ {
		switch got := a.decide(t); {
		case got == "allow":
			return denied
		case got != unavailable || time.Now().After(end):
			t.Fatalf("got %s", got)
		}
	}
}

// trailOf gives the decisions of a trail by the id of their record, in their order, and the counts of its gaps by cause.
func trailOf(t *testing.T, trail string) (decisions map[string]string, gaps map[string]int) {
	t.Helper()
	audittest.CheckLines(t, trail)
	decisions, gaps = map[string]string{}, map[string]int{}
	for line := range strings.FieldsFuncSeq(trail, func(r rune) bool { return r == '\n' }) {
		var r struct {
			Kind, ID, Decision, Cause string
			Count                     int
		}
		must(t, json.Unmarshal([]byte(line), &r))
		if r.Kind == "gap" {
			gaps[r.Cause] += r.Count
			continue
		}
		decisions[r.ID] = strings.TrimPrefix(decisions[r.ID]+" "+r.Decision, " ")
	}
	return decisions, gaps
}

func countValues(decisions map[string]string) map[string]int {
	counts := map[string]int{}
	for _, value := range decisions {
		counts[value]++
	}
	return counts
}

// While the disk is full nothing is allowed that needs a record, and afterwards it is, at once.
func TestRequiredRecordsOnAFullDisk(t *testing.T) {
	link, disk := filepath.Join(t.TempDir(), "audit.jsonl"), filepath.Join(t.TempDir(), "disk")
	must(t, os.Symlink("/dev/full", link))
	a := serving(t, "{required: true, output: "+link+"}", nil)
	a.requireUnavailable(t, 3, "no space left on device; records are required, so requests are not allowed (503 audit_unavailable)")
	a.await(t, `meshpass_decisions_total{decision="deny",listener="sidecar",reason="audit_unavailable"}`, 3)
	a.await(t, fmt.Sprintf(lost, "no_space"), 6) // of each request the allow, and the denial
	must(t, os.Symlink(disk, link+".new"))
	must(t, os.Rename(link+".new", link))
	if got := a.decide(t); got != "allow" {
		t.Errorf("with room: got %s", got)
	}
	a.end(t)
	text, err := os.ReadFile(disk)
	must(t, err)
	decisions, gaps := trailOf(t, string(text))
	if counts := countValues(decisions); !maps.Equal(counts, map[string]int{"allow": 1}) || !maps.Equal(gaps, map[string]int{"no_space": 6}) {
		t.Errorf("got %v, gaps %v", counts, gaps)
	}
}

// A reader that stalls ends each allow with its deadline. When it goes on, requests are allowed again, and the trail has
// every answer once; only the record that was being written when the reader stalled is followed by its denial.
func TestRequiredRecordsThatNobodyReads(t *testing.T) {
	reader, writer := pipe(t)
	fillPipe(t, writer)
	a := servingWithin(t, "100ms", "{required: true}", writer)
	a.requireUnavailable(t, 5, "bytes wait")
	denied := 5
	trail := make(chan string)
	go func() {
		text, _ := io.ReadAll(reader) // until the process ends, or with less, which is noticed
		trail <- string(text)
	}()
	denied += a.awaitAllow(t)
	a.end(t)
	writer.Close()
	decisions, gaps := trailOf(t, <-trail)
	counts := countValues(decisions)
	if counts["allow"] != 1 || counts["deny"]+counts["allow deny"] != denied || counts["allow deny"] < 1 || len(counts) != 3 || len(gaps) != 0 {
		t.Errorf("%d denied; recorded %v, gaps %v", denied, counts, gaps)
	}
}

// fillPipe leaves no room in a pipe: its reader has stalled.
func fillPipe(t *testing.T, writer *os.File) {
	t.Helper()
	raw, err := writer.SyscallConn()
	must(t, err)
	var failed error
	must(t, raw.Write(func(fd uintptr) bool {
		for failed == nil {
			_, failed = syscall.Write(int(fd), []byte("\n"))
		}
		return true
	}))
	if !errors.Is(failed, syscall.EAGAIN) {
		t.Fatal(failed)
	}
}

// Without a reader nothing is allowed.
func TestRequiredRecordsWhoseReaderIsGone(t *testing.T) {
	reader, writer := pipe(t)
	reader.Close()
	a := serving(t, "{required: true}", writer)
	writer.Close()
	a.requireUnavailable(t, 3, "broken pipe; records are required, so requests are not allowed (503 audit_unavailable)")
	a.await(t, fmt.Sprintf(lost, "reader_closed"), 6)
	a.end(t)
}

// A rotation denies nothing. Each record is in the file before its request goes on.
func TestRequiredRecordsAreRotated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.jsonl")
	a := serving(t, "{required: true, output: "+file+"}", nil)
	for i := range 3 {
		if got := a.decide(t); got != "allow" {
			t.Fatalf("got %s", got)
		}
		text, err := os.ReadFile(file)
		must(t, err)
		if decisions, _ := trailOf(t, string(text)); !maps.Equal(countValues(decisions), map[string]int{"allow": 1}) {
			t.Errorf("file %d: %s", i, text)
		}
		must(t, os.Rename(file, fmt.Sprint(file, ".", i)))
	}
	a.end(t)
}
