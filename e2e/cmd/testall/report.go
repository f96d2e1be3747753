package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
)

// report counts tests and prints as they come. Its counts are tests, subtests included; a package
// that fails without a failed test, for example because it does not compile, counts as one.
type report struct {
	out    io.Writer
	strict bool // a test that was NOT RUN counts as failed

	passed, failed, skipped int
	notRun                  []string
	output                  map[string]*strings.Builder // of tests and packages that are not finished
	inPackage               map[string]*counts
}

type counts struct{ tests, failed int }

// event is a line of `go test -json` (go doc test2json).
type event struct {
	Action, Package, Test, Output, ImportPath, FailedBuild string
	Elapsed                                                float64
}

func (r *report) begin(suite string) {
	r.output, r.inPackage = map[string]*strings.Builder{}, map[string]*counts{}
	fmt.Fprintf(r.out, "\n%s\n", suite)
}

func (r *report) read(events io.Reader) {
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		var e event
		if json.Unmarshal(line, &e) == nil {
			r.event(e)
		} else if len(line) > 0 {
			fmt.Fprintf(r.out, "  %s", line) // go itself has something to say
		}
		if err != nil {
			return
		}
	}
}

func (r *report) event(e event) {
	switch e.Action {
	case "output":
		r.buffer(e.Package + " " + e.Test).WriteString(e.Output)
	case "build-output":
		r.buffer("build " + e.ImportPath).WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageDone(e)
		} else {
			r.testDone(e)
		}
	}
}

func (r *report) buffer(key string) *strings.Builder {
	if r.output[key] == nil {
		r.output[key] = &strings.Builder{}
	}
	return r.output[key]
}

func (r *report) packageCounts(name string) *counts {
	if r.inPackage[name] == nil {
		r.inPackage[name] = &counts{}
	}
	return r.inPackage[name]
}

func (r *report) testDone(e event) {
	key := e.Package + " " + e.Test
	output := r.buffer(key).String()
	delete(r.output, key)
	c := r.packageCounts(e.Package)
	c.tests++
	switch e.Action {
	case "pass":
		r.passed++
	case "skip":
		r.skip(e.Test, output)
	case "fail":
		r.failed++
		c.failed++
		fmt.Fprintf(r.out, "\n  FAILED %s %s\n%s\n", short(e.Package), e.Test, indent(output))
	}
}

// needsRight ends what a test says that lacks no program but a right, which no installation gives.
const needsRight = "needs root"

// skip takes what a test said about a missing program into the summary.
func (r *report) skip(test, output string) {
	_, reason, missing := strings.Cut(output, "NOT RUN: ")
	if !missing {
		r.skipped++
		return
	}
	reason, _, _ = strings.Cut(reason, "\n")
	r.notRun = append(r.notRun, fmt.Sprintf("%s (%s)", reason, test))
	if r.strict && !strings.HasSuffix(reason, needsRight) {
		r.failed++
	} else {
		r.skipped++
	}
}

func (r *report) packageDone(e event) {
	c := r.packageCounts(e.Package)
	output := r.buffer(e.Package + " ").String()
	switch {
	case e.Action == "skip": // no test files
	case e.Action == "pass":
		fmt.Fprintf(r.out, "  ok      %-52s %4d tests  %6.1f s%s\n", short(e.Package), c.tests, e.Elapsed, cached(output))
	case c.failed > 0:
		fmt.Fprintf(r.out, "  FAILED  %-52s %4d of %d tests\n", short(e.Package), c.failed, c.tests)
	default:
		r.failed++
		build := r.buffer("build " + e.FailedBuild).String()
		fmt.Fprintf(r.out, "\n  FAILED  %s\n%s\n", short(e.Package), indent(build+output))
	}
}

// broken reports a run of go test that failed without telling which test.
func (r *report) broken(suite string, err error, stderr []byte) {
	r.failed++
	fmt.Fprintf(r.out, "\n  FAILED  %s: %v\n%s\n", suite, err, indent(string(stderr)))
}

// close prints the summary and returns the exit code. interrupted, if any, is why not all was run.
func (r *report) close(interrupted error) int {
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

// short is a package's folder.
func short(pkg string) string {
	return path.Join(".", strings.TrimPrefix(pkg, "github.com/meshpass/meshpass"))
}

func cached(output string) string {
	if strings.Contains(output, "(cached)") {
		return "  cached"
	}
	return ""
}

func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
}
