package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	passed  = `{"Action":"pass","Package":"github.com/meshpass/meshpass/a","Test":"TestA"}`
	pkgPass = `{"Action":"pass","Package":"github.com/meshpass/meshpass/a","Elapsed":1.25}`
	failure = `{"Action":"output","Package":"github.com/meshpass/meshpass/a","Test":"TestB","Output":"got 1, want 2\n"}
{"Action":"fail","Package":"github.com/meshpass/meshpass/a","Test":"TestB"}
{"Action":"fail","Package":"github.com/meshpass/meshpass/a"}`
	missing = `{"Action":"output","Package":"github.com/meshpass/meshpass/a","Test":"TestR","Output":"    x_test.go:1: NOT RUN: real Redis: needs redis-server\n"}
{"Action":"skip","Package":"github.com/meshpass/meshpass/a","Test":"TestR"}`
	rootless = `{"Action":"output","Package":"github.com/meshpass/meshpass/a","Test":"TestN","Output":"    x_test.go:1: NOT RUN: namespaces: needs root\n"}
{"Action":"skip","Package":"github.com/meshpass/meshpass/a","Test":"TestN"}`
	elsewhere = `{"Action":"output","Package":"github.com/meshpass/meshpass/a","Test":"TestH","Output":"    x_test.go:1: NOT RUN: charts: needs make bin/helm, which make test does not build\n"}
{"Action":"skip","Package":"github.com/meshpass/meshpass/a","Test":"TestH"}`
	skipped = `{"Action":"skip","Package":"github.com/meshpass/meshpass/a","Test":"TestS"}`
	noTests = `{"Action":"skip","Package":"github.com/meshpass/meshpass/none"}`
	noBuild = `{"Action":"build-output","ImportPath":"github.com/meshpass/meshpass/b","Output":"b.go:1: undefined: x\n"}
{"Action":"fail","Package":"github.com/meshpass/meshpass/b","FailedBuild":"github.com/meshpass/meshpass/b"}`
)

func TestReport(t *testing.T) {
	tests := []struct {
		name   string
		events []string
		strict bool
		exit   int
		lines  []string // the whole output, without blank lines
	}{
		{"all pass", []string{passed, pkgPass, noTests}, false, 0, []string{
			"suite", "  ok      a                                                       1 tests     1.2 s", "1 passed, 0 failed, 0 skipped"}},
		{"a failure in full", []string{passed, failure}, false, 1, []string{
			"suite", "  FAILED a TestB", "    got 1, want 2", "  FAILED  a                                                       1 of 2 tests", "1 passed, 1 failed, 0 skipped"}},
		{"does not compile", []string{noBuild}, false, 1, []string{
			"suite", "  FAILED  b", "    b.go:1: undefined: x", "0 passed, 1 failed, 0 skipped"}},
		{"not run", []string{passed, missing, skipped}, false, 0, []string{
			"suite", "NOT RUN on this machine:", "  real Redis: needs redis-server (TestR)", "1 passed, 0 failed, 2 skipped"}},
		{"not run in CI", []string{passed, missing}, true, 1, []string{
			"suite", "NOT RUN on this machine:", "  real Redis: needs redis-server (TestR)", "1 passed, 1 failed, 0 skipped"}},
		{"no right in CI", []string{passed, rootless}, true, 0, []string{
			"suite", "NOT RUN on this machine:", "  namespaces: needs root (TestN)", "1 passed, 0 failed, 1 skipped"}},
		{"no program from elsewhere in CI", []string{passed, elsewhere}, true, 0, []string{
			"suite", "NOT RUN on this machine:", "  charts: needs make bin/helm, which make test does not build (TestH)", "1 passed, 0 failed, 1 skipped"}},
		{"a message of go", []string{"go: no such tool"}, false, 0, []string{"suite", "  go: no such tool", "0 passed, 0 failed, 0 skipped"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			r := &report{out: &out, strict: test.strict}
			r.beginSuite("suite")
			r.readEvents(strings.NewReader(strings.Join(test.events, "\n") + "\n"))
			if exit := r.printSummary(nil); exit != test.exit {
				t.Errorf("exit code %d, want %d", exit, test.exit)
			}
			if diff := cmp.Diff(test.lines, nonBlank(out.String())); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestInterruptedIsNotPassed(t *testing.T) {
	var out strings.Builder
	r := &report{out: &out, passed: 3}
	if exit := r.printSummary(errors.New("interrupt")); exit != 1 {
		t.Errorf("exit code %d, want 1", exit)
	}
	if !strings.HasSuffix(out.String(), "\n3 passed, 0 failed, 0 skipped\n") {
		t.Errorf("the last line is not the count: %q", out.String())
	}
}

func TestChoose(t *testing.T) {
	chosen, err := chooseSuites("e2e,shared", "go1.23.12")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"shared", "e2e", "shared, go1.23.12"}, suiteNames(chosen)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := chooseSuites("e3e", ""); err == nil {
		t.Error("an unknown module was accepted")
	}
}

func nonBlank(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines
}
