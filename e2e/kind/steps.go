package kind

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Step is one part of a run. It may be run again alone.
type Step struct {
	Name string
	run  func(*Environment, context.Context) error
}

// Steps returns all steps, in order.
func Steps() []Step {
	return []Step{
		{"cluster", (*Environment).makeCluster},
		{"istio", (*Environment).installIstio},
		{"images", (*Environment).buildImages},
		{"install", (*Environment).playInstall},
		{"charts", (*Environment).playCharts},
		{"deploy", (*Environment).deployAll},
		{"run", (*Environment).playTour},
		{"lint", (*Environment).playLint},
		{"topologies", (*Environment).playTopologies},
		{"clean", (*Environment).Clean},
	}
}

// ErrDiffers is the error of a run with a failed case.
var ErrDiffers = errors.New("not as expected")

// Do runs one step, and prints how long it took.
func (e *Environment) Do(ctx context.Context, s Step) error {
	e.out.printLine("== %s", s.Name)
	began := time.Now()
	if err := s.run(e, ctx); err != nil {
		return fmt.Errorf("%s: %w", s.Name, err)
	}
	e.out.printLine("   %s: %s", s.Name, formatSeconds(time.Since(began)))
	return nil
}

// FindSteps returns the step with that name. For "" it returns all steps except the last one, which a
// successful run adds itself.
func FindSteps(name string) ([]Step, error) {
	all := Steps()
	if name == "" {
		return all[:len(all)-1], nil
	}
	var names []string
	for _, s := range all {
		if s.Name == name {
			return []Step{s}, nil
		}
		names = append(names, s.Name)
	}
	return nil, fmt.Errorf("no step %q; there are: %s", name, strings.Join(names, ", "))
}
