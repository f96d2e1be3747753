// Command e2ekind plays the cases on a kind cluster: see package kind. make e2e-kind builds the programs
// that it needs, and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshpass/meshpass/e2e/kind"
)

// Exit codes.
const (
	exitOK      = 0
	exitDiffers = 1 // a case did not end as expected
	exitFailed  = 2
)

func main() { os.Exit(run()) }

func run() int {
	step := flag.String("step", "", "run one `step` alone: cluster, istio, images, install, charts, deploy, run, topologies or clean")
	only := flag.String("only", "", "play only the cases whose name begins with `prefix`, such as operations/")
	keep := flag.Bool("keep", false, "leave the cluster for the next run")
	check := flag.Bool("check", false, "only check that all required programs are there, and print nothing if they are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends at once
	steps, err := kind.FindSteps(*step)
	if err != nil {
		return reportError(err)
	}
	options := kind.Options{NodeImage: os.Getenv("KIND_IMAGE"), Addons: os.Getenv("CLUSTER_ADDONS"), IstioValues: os.Getenv("ISTIO_VALUES"), Only: *only}
	out := io.Writer(os.Stdout)
	if *check {
		out = io.Discard
	}
	env, err := kind.New(options, &kind.Printer{Out: out})
	if err != nil {
		return reportError(err)
	}
	if err := env.Require(ctx); err != nil {
		return reportError(err)
	}
	if *check {
		return exitOK
	}
	err = playSteps(ctx, env, steps)
	if *step == "" && !*keep {
		err = errors.Join(err, env.Clean(context.WithoutCancel(ctx)))
	}
	return exitCode(err)
}

// playSteps runs the steps up to the first that cannot be run; a failed case does not keep the next step from its own. After a
// failure it collects the logs and the state of the cluster, before that changes.
func playSteps(ctx context.Context, env *kind.Environment, steps []kind.Step) error {
	defer env.PrintSummary()
	var differs error
	for _, s := range steps {
		err := env.Do(ctx, s)
		if err == nil {
			continue
		}
		if ctx.Err() == nil {
			dir, problem := env.Collect(ctx)
			fmt.Printf("\nevents, logs and proxy configuration are in %s\n", dir)
			err = errors.Join(err, problem)
		}
		if !errors.Is(err, kind.ErrDiffers) {
			return err
		}
		differs = err
	}
	return differs
}

func exitCode(err error) int {
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, kind.ErrDiffers):
		fmt.Fprintln(os.Stderr, "e2e-kind:", err)
		return exitDiffers
	default:
		return reportError(err)
	}
}

func reportError(err error) int {
	fmt.Fprintln(os.Stderr, "e2e-kind:", err)
	return exitFailed
}
