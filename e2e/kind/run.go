package kind

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// test is one row of a run.
type test struct {
	name, title string
	run         func(context.Context) ([]string, error) // what is not as expected; an error: could not be tried
}

// run plays every case and then what changes the cluster under the requests.
func (e *Environment) run(ctx context.Context) error {
	e.since = time.Now().Add(-time.Second) // logs know whole seconds
	tests, played, err := e.cases()
	if err != nil {
		return err
	}
	tests = append(tests, e.late(played))
	tests = append(tests, e.operations()...)
	var t tally
	for _, test := range tests {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !strings.HasPrefix(test.name, e.Only) {
			t.skipped++
			continue
		}
		t.row(ctx, e.out, test)
	}
	e.out.line("\n%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
	if t.failed > 0 {
		return ErrDiffers
	}
	return nil
}

type tally struct{ passed, failed, skipped int }

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

// cases are the files of e2e/scenarios; what is played is kept for a later look.
func (e *Environment) cases() ([]test, *[]scenarios.Exchange, error) {
	var tests []test
	var played []scenarios.Exchange
	for _, folder := range []string{"tour", "hostile", "cluster"} {
		cases, err := scenarios.Load(os.DirFS(e.shipped("e2e", "scenarios")), folder)
		if err != nil {
			return nil, nil, err
		}
		for _, s := range cases {
			tests = append(tests, test{path.Join(folder, s.Name), s.Title, func(ctx context.Context) ([]string, error) {
				exchanges, err := scenarios.Run(ctx, e, s)
				played = append(played, exchanges...)
				return problems(exchanges), err
			}})
		}
	}
	return tests, &played, nil
}

// late looks at everything once more: a record may have come after its case was judged.
func (e *Environment) late(played *[]scenarios.Exchange) test {
	return test{"late records", "Every case still is as it was judged", func(ctx context.Context) ([]string, error) {
		var late []string
		for _, x := range *played {
			known := len(x.Problems) > 0
			if err := x.Look(ctx, e); err != nil {
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
