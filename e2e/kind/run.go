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
	run         func(context.Context) ([]string, error) // what is not as expected; an error: could not be tried
}

// run plays every case of the tour's topology and then what changes the cluster under the requests.
func (e *Environment) run(ctx context.Context) error {
	tests, err := e.cases(e.at)
	if err != nil {
		return err
	}
	var t tally
	if err := e.play(ctx, &t, append(tests, e.operations()...)); err != nil {
		return err
	}
	return t.verdict(e.out)
}

// selected are the tests that were asked for.
func (e *Environment) selected(tests []test) []test {
	return slices.DeleteFunc(slices.Clone(tests), func(t test) bool { return !strings.HasPrefix(t.name, e.Only) })
}

func (e *Environment) play(ctx context.Context, t *tally, tests []test) error {
	e.since = time.Now().Add(-time.Second) // logs know whole seconds
	selected := e.selected(tests)
	t.skipped += len(tests) - len(selected)
	for _, test := range selected {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		t.row(ctx, e.out, test)
	}
	return nil
}

type tally struct{ passed, failed, skipped int }

func (t tally) verdict(out *Printer) error {
	out.line("\n%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		return ErrDiffers
	}
	return nil
}

// row runs one test and prints it. A case that could not be tried has failed; the others go on.
func (t *tally) row(ctx context.Context, out *Printer, test test) {
	began := time.Now()
	problems, err := test.run(ctx)
	if err != nil {
		problems = append(problems, err.Error())
	}
	verdict := "PASS"
	switch {
	case errors.Is(err, errNotRun):
		verdict = "SKIP"
		t.skipped++
	case len(problems) > 0:
		verdict = "FAIL"
		t.failed++
	default:
		t.passed++
	}
	out.line("%s  %-36s %6.1f s  %s", verdict, test.name, time.Since(began).Seconds(), test.title)
	for _, problem := range problems {
		out.line("      %s", problem)
	}
}

// cases are the topology's files of e2e/scenarios, and at the end a late look at what was played.
func (e *Environment) cases(t topology) ([]test, error) {
	var tests []test
	var played []scenarios.Exchange
	for _, folder := range t.cases {
		cases, err := scenarios.LoadFolder(os.DirFS(e.shipped("e2e", "scenarios")), folder)
		if err != nil {
			return nil, err
		}
		for _, s := range cases {
			tests = append(tests, test{path.Join(t.name, folder, s.Name), s.Title, func(ctx context.Context) ([]string, error) {
				exchanges, err := scenarios.Run(ctx, e, s)
				played = append(played, exchanges...)
				return problems(exchanges), err
			}})
		}
	}
	return append(tests, e.late(t, &played)), nil
}

// late looks at everything once more: a record may have come after its case was checked.
func (e *Environment) late(t topology, played *[]scenarios.Exchange) test {
	return test{path.Join(t.name, "late records"), "Every case still has its result", func(ctx context.Context) ([]string, error) {
		var late []string
		for _, x := range *played {
			known := len(x.Problems) > 0
			if err := x.ReadOutcome(ctx, e); err != nil {
				return nil, err
			}
			if !known {
				late = append(late, problems([]scenarios.Exchange{x})...)
			}
		}
		return late, nil
	}}
}

func problems(played []scenarios.Exchange) []string {
	var all []string
	for _, x := range played {
		for _, problem := range x.Problems {
			all = append(all, fmt.Sprintf("%s %s %s: %s", x.Request.ID, x.Request.Method, x.Request.Path, problem))
		}
	}
	return all
}
