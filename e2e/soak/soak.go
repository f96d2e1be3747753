// Package soak tests that key rotation under load changes no answer. Streams of requests go through the
// real gateway, Envoys and authorizers of a local mesh. Some must be allowed and some denied. Meanwhile
// keys rotate every few seconds, and the key set's server, Redis and the authorizers are killed in turn.
//
// Each request has one right answer at all times. A 503 by Envoy is counted separately: the authorizer
// was gone, so the request was neither decided nor allowed.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

// Options of a run.
type Options struct {
	Duration time.Duration // of the load, without start and end
	Every    time.Duration // how long a key signs; at least Lead
	Lead     time.Duration // time from the publication of a key to its first signature; more than the authorizers' refresh, 1s
	Progress io.Writer     // gets a line every few seconds
}

const progressEvery = 5 * time.Second

// Run takes Options.Duration, and some time to start. Result.Wrong lists wrong answers. An error means
// that the run could not be made.
func Run(ctx context.Context, o Options) (Result, error) {
	env, err := newEnvironment()
	if err != nil {
		return Result{}, err
	}
	mesh, err := localmesh.Start(ctx, localmesh.Options{Topology: "replicas", Prepare: func(dir string) error { return env.startServers(ctx, dir) }})
	if err != nil {
		return Result{}, errors.Join(err, env.close())
	}
	result, err := runParts(ctx, o, mesh, env)
	if err = errors.Join(err, mesh.Close(), env.close()); err != nil || len(result.Wrong) > 0 {
		_, _ = fmt.Fprintf(o.Progress, "logs: %s\n", mesh.Dir())
		return result, err
	}
	return result, mesh.RemoveDir()
}

// runParts runs the load, the rotation and the restarts together, until the time is over or one of them
// fails.
func runParts(ctx context.Context, o Options, mesh *localmesh.Mesh, env *environment) (Result, error) {
	keys := &rotator{every: o.Every, lead: o.Lead, dir: mesh.Dir(), metrics: env.metrics, signed: map[string]bool{}}
	if err := errors.Join(keys.waitForMetrics(ctx), keys.rotateOnce(ctx)); err != nil {
		return Result{}, err
	}
	streams, err := newStreams(mesh, keys)
	if err != nil {
		return Result{}, err
	}
	restarts := &killer{parts: env.parts(mesh, keys), restarts: map[string]int{}}
	tally := newTally(streams)

	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var all sync.WaitGroup
	runs := []func(context.Context) error{keys.rotateUntilDone, keys.watchSigningKey, restarts.killInTurn}
	errs := make([]error, len(runs))
	for i, run := range runs {
		all.Go(func() {
			defer cancel()
			errs[i] = run(ctx)
		})
	}
	for _, one := range streams {
		all.Go(func() { one.sendUntilDone(ctx, mesh, tally) })
	}
	all.Go(func() { reportProgress(ctx, o.Progress, began, tally, keys, restarts) })
	all.Wait()
	return newResult(tally, keys, restarts), errors.Join(errs...)
}

func reportProgress(ctx context.Context, to io.Writer, began time.Time, tally *tally, keys *rotator, restarts *killer) {
	for wait(ctx, progressEvery) {
		r := newResult(tally, keys, restarts)
		_, _ = fmt.Fprintf(to, "%4.0fs  %s\n", time.Since(began).Seconds(), r.summaryLine())
	}
}
