// Command e2ekind plays the cases on a kind cluster: see package kind. `make e2e-kind` builds what it
// needs and runs it.
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
	fine     = 0
	no       = 1 // a case did not end as expected
	couldNot = 2
)

func main() { os.Exit(run()) }

func run() int {
	step := flag.String("step", "", "run one `step` alone: cluster, istio, images, deploy, run, topologies or clean")
	only := flag.String("only", "", "play only the cases whose `name` begins so, as in operations/")
	keep := flag.Bool("keep", false, "leave the cluster for the next run")
	check := flag.Bool("check", false, "only see whether all programs that are needed are there, and say nothing if they are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second interrupt ends at once
	steps, err := kind.Find(*step)
	if err != nil {
		return failed(err)
	}
	options := kind.Options{NodeImage: os.Getenv("KIND_IMAGE"), Addons: os.Getenv("CLUSTER_ADDONS"), IstioValues: os.Getenv("ISTIO_VALUES"), Only: *only}
	out := io.Writer(os.Stdout)
	if *check {
		out = io.Discard
	}
	env, err := kind.New(options, &kind.Printer{Out: out})
	if err != nil {
		return failed(err)
	}
	if err := env.Require(ctx); err != nil {
		return failed(err)
	}
	if *check {
		return fine
	}
	err = play(ctx, env, steps)
	if *step == "" && !*keep {
		err = errors.Join(err, env.Clean(context.WithoutCancel(ctx)))
	}
	return code(err)
}

// play runs the steps up to the first that fails. What there is to learn from the cluster is
// collected before it is removed.
func play(ctx context.Context, env *kind.Environment, steps []kind.Step) error {
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
		return err
	}
	return nil
}

func code(err error) int {
	switch {
	case err == nil:
		return fine
	case errors.Is(err, kind.ErrDiffers):
		fmt.Fprintln(os.Stderr, "e2e-kind:", err)
		return no
	default:
		return failed(err)
	}
}

func failed(err error) int {
	fmt.Fprintln(os.Stderr, "e2e-kind:", err)
	return couldNot
}
