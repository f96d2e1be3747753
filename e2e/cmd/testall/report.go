package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
)

// report counts tests and prints results as they arrive. It counts subtests as tests. A package
// that fails without a failed test, for example because it does not compile, counts as one test.
type report struct {
	out    io.Writer
	strict bool // a test that was NOT RUN counts as failed

	passed, failed, skipped int
	notRun                  []string
	output                  map[string]*strings.Builder // of tests and packages that have not finished
	inPackage               map[string]*counts
}

type counts struct{ tests, failed int }

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
	Elapsed                                                float64
}

func (r *report) beginSuite(suite string) {
	r.output, r.inPackage = map[string]*strings.Builder{}, map[string]*counts{}
	fmt.Fprintf(r.out, "\n%s\n", suite)
}

func (r *report) readEvents(events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			r.handleEvent(e)
		} else if len(line) > 0 {
			fmt.Fprintf(r.out, "  %s", line) // a message of go itself
		}
		if err != nil {
			return
		}
	}
}

func (r *report) handleEvent(e event) {
	switch e.Action {
	case "output":
		r.outputOf(e.Package + " " + e.Test).WriteString(e.Output)
	case "build-output":
		r.outputOf("build " + e.ImportPath).WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.finishPackage(e)
		} else {
			r.finishTest(e)
		}
	}
}

func (r *report) outputOf(key string) *strings.Builder {
	if r.output[key] == nil {
		r.output[key] = &strings.Builder{}
	}
	return r.output[key]
}

func (r *report) countsOf(name string) *counts {
	if r.inPackage[name] == nil {
		r.inPackage[name] = &counts{}
	}
	return r.inPackage[name]
}

func (r *report) finishTest(e event) {
	key := e.Package + " " + e.Test
	output := r.outputOf(key).String()
	delete(r.output, key)
	c := r.countsOf(e.Package)
	c.tests++
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.countSkipped(e.Test, output)
	case "fail":
		r.failed++
		c.failed++
		fmt.Fprintf(r.out, "\n  FAILED %s %s\n%s\n", packageFolder(e.Package), e.Test, indentLines(output))
	}
}

// needsRoot is the end of the message of a test that lacks a right, which no package provides.
const needsRoot = "needs root"

// fromElsewhere is in the message of a test that lacks a program which only another target of make builds, because it takes long or
// comes from elsewhere.
const fromElsewhere = "which make test does not build"

// countSkipped counts a skipped test. A test that lacks a program goes into the summary.
func (r *report) countSkipped(test, output string) {
	_, reason, missing := strings.Cut(output, "NOT RUN: ")
	if !missing {
		r.skipped++
		return
	}
	reason, _, _ = strings.Cut(reason, "\n")
	r.notRun = append(r.notRun, fmt.Sprintf("%s (%s)", reason, test))
	if r.strict && !strings.HasSuffix(reason, needsRoot) && !strings.Contains(reason, fromElsewhere) {
		r.failed++
	} else {
		r.skipped++
	}
}

func (r *report) finishPackage(e event) {
	c := r.countsOf(e.Package)
	output := r.outputOf(e.Package + " ").String()
	switch {
	case e.Action == "skip": // no test files
	case e.Action == "pass":
		fmt.Fprintf(r.out, "  ok      %-52s %4d tests  %6.1f s%s\n", packageFolder(e.Package), c.tests, e.Elapsed, cachedMark(output))
	case c.failed > 0:
		fmt.Fprintf(r.out, "  FAILED  %-52s %4d of %d tests\n", packageFolder(e.Package), c.failed, c.tests)
	default:
		r.failed++
		build := r.outputOf("build " + e.FailedBuild).String()
		fmt.Fprintf(r.out, "\n  FAILED  %s\n%s\n", packageFolder(e.Package), indentLines(build+output))
	}
}

// addBrokenRun reports a run of go test that failed without a failed test.
func (r *report) addBrokenRun(suite string, err error, stderr []byte) {
	r.failed++
	fmt.Fprintf(r.out, "\n  FAILED  %s: %v\n%s\n", suite, err, indentLines(string(stderr)))
}

// printSummary prints the summary and returns the exit code. interrupted is the cause if not all tests were run.
func (r *report) printSummary(interrupted error) int {
	fmt.Fprintln(r.out)
	if len(r.notRun) > 0 {
		fmt.Fprintln(r.out, "NOT RUN on this machine:")
		for _, what := range r.notRun {
			fmt.Fprintln(r.out, "  "+what)
		}
		fmt.Fprintln(r.out)
	}
	if interrupted != nil {
		fmt.Fprintln(r.out, "interrupted: the tests after this point were not run")
	}
	fmt.Fprintf(r.out, "%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if r.failed > 0 || interrupted != nil {
		return 1
	}
	return 0
}

// packageFolder returns a package's folder, relative to the repository.
func packageFolder(pkg string) string {
	return path.Join(".", strings.TrimPrefix(pkg, "github.com/meshpass/meshpass"))
}

func cachedMark(output string) string {
	if strings.Contains(output, "(cached)") {
		return "  cached"
	}
	return ""
}

func indentLines(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
