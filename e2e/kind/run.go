package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// test is one row of a run.
type test struct {
	name, title string
	run         func(context.Context) ([]string, error) // problems that were found; an error: the test could not run
}

// playTour plays every case of the tour's topology, and then the tests that change the cluster while
// requests run.
func (e *Environment) playTour(ctx context.Context) error {
	tests, err := e.loadCases(e.current)
	if err != nil {
		return err
	}
	var t tally
	if err := e.playTests(ctx, &t, append(tests, e.operationTests()...)); err != nil {
		return err
	}
	return e.finishStep(t)
}

// selectTests returns the tests that Only selects.
func (e *Environment) selectTests(tests []test) []test {
	return slices.DeleteFunc(slices.Clone(tests), func(t test) bool { return !strings.HasPrefix(t.name, e.Only) })
}

func (e *Environment) playTests(ctx context.Context, t *tally, tests []test) error {
	e.since = time.Now().Add(-time.Second) // the time of logs has whole seconds
	selected := e.selectTests(tests)
	t.skipped += len(tests) - len(selected)
	for _, test := range selected {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.runTest(ctx, e.out, test)
	}
	return nil
}

// tally counts the cases of a step, or of a run.
type tally struct {
	passed, failed, skipped int
	failedNames, notRun     []string
}

func (t tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
}

// finishStep prints the summary of a step, and adds it to that of the run.
func (e *Environment) finishStep(t tally) error {
	e.out.printLine("\n%s", t)
	e.total.passed += t.passed
	e.total.failed += t.failed
	e.total.skipped += t.skipped
	e.total.failedNames = append(e.total.failedNames, t.failedNames...)
	e.total.notRun = append(e.total.notRun, t.notRun...)
	if t.failed > 0 {
		return ErrDiffers
	}
	return nil
}

// PrintSummary prints the summary of all steps that were run.
func (e *Environment) PrintSummary() {
	e.out.printLine("")
	for _, name := range e.total.failedNames {
		e.out.printLine("FAIL  %s", name)
	}
	for _, what := range e.total.notRun {
		e.out.printLine("%s", what)
	}
	e.out.printLine("all steps: %s", e.total)
}

// runTest runs one test and prints its result. A test that could not run has failed; the others follow.
func (t *tally) runTest(ctx context.Context, out *Printer, test test) {
	began := time.Now()
	problems, err := test.run(ctx)
	if err != nil {
		problems = append(problems, err.Error())
	}
	result := "PASS"
	switch {
	case errors.Is(err, errNotRun):
		result = "SKIP"
		t.skipped++
		t.notRun = append(t.notRun, fmt.Sprintf("%v (%s)", err, test.name))
	case len(problems) > 0:
		result = "FAIL"
		t.failed++
		t.failedNames = append(t.failedNames, test.name)
	default:
		t.passed++
	}
	out.printLine("%s  %-36s %6.1f s  %s", result, test.name, time.Since(began).Seconds(), test.title)
	for _, problem := range problems {
		out.printLine("      %s", problem)
	}
}

// loadCases returns the cases of the topology's folders of e2e/scenarios, and at the end a second look at
// their records.
func (e *Environment) loadCases(t topology) ([]test, error) {
	var tests []test
	var played []scenarios.Exchange
	for _, folder := range t.cases {
		cases, err := scenarios.LoadFolder(os.DirFS(e.repoFile("e2e", "scenarios")), folder)
		if err != nil {
			return nil, err
		}
		for _, s := range cases {
			tests = append(tests, test{path.Join(t.name, folder, s.Name), s.Title, func(ctx context.Context) ([]string, error) {
				exchanges, err := scenarios.Run(ctx, e, s)
				played = append(played, exchanges...)
				return listProblems(exchanges), err
			}})
		}
	}
	return append(tests, e.checkLateRecords(t, &played)), nil
}

// checkLateRecords compares all cases again: a record may have come after its case was checked.
func (e *Environment) checkLateRecords(t topology, played *[]scenarios.Exchange) test {
	return test{path.Join(t.name, "late records"), "Every case still has its result", func(ctx context.Context) ([]string, error) {
		var late []string
		for _, x := range *played {
			known := len(x.Problems) > 0
			if err := x.ReadOutcome(ctx, e); err != nil {
				return nil, err
			}
			if !known {
				late = append(late, listProblems([]scenarios.Exchange{x})...)
			}
		}
		return late, nil
	}}
}

func listProblems(played []scenarios.Exchange) []string {
	var all []string
	for _, x := range played {
		for _, problem := range x.Problems {
			all = append(all, fmt.Sprintf("%s %s %s: %s", x.Request.ID, x.Request.Method, x.Request.Path, problem))
		}
	}
	return all
}
