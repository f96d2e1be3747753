// Package soak shows that nobody notices a rotation: streams of requests go through the real gateway,
// Envoys and authorizers of a local mesh, some of which must be let in and some refused, while keys
// rotate every few seconds and the key set's server, Redis and the authorizers are killed in turn.
//
// Each request has one right answer, whatever happens meanwhile. A 503 by Envoy is counted apart: the
// authorizer that it asked was gone, so nobody decided, and nobody was let in.
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
	Duration time.Duration // of the load, not counting start and end
	Every    time.Duration // a key signs that long before the next one does; at least Lead
	Lead     time.Duration // from a key's publication to its first signature; more than the authorizers' refresh, 1s
	Progress io.Writer     // gets a line every few seconds
}

const progressEvery = 5 * time.Second

// Run takes the time that the options say, and some more to start. The result tells what is wrong; an
// error, that it could not be found out.
func Run(ctx context.Context, o Options) (Result, error) {
	s, err := newSetting()
	if err != nil {
		return Result{}, err
	}
	mesh, err := localmesh.Start(ctx, localmesh.Options{Topology: "replicas", Prepare: func(dir string) error { return s.prepare(ctx, dir) }})
	if err != nil {
		return Result{}, errors.Join(err, s.close())
	}
	result, err := soak(ctx, o, mesh, s)
	if err = errors.Join(err, mesh.Close(), s.close()); err != nil || len(result.Wrong) > 0 {
		_, _ = fmt.Fprintf(o.Progress, "logs: %s\n", mesh.Dir())
		return result, err
	}
	return result, mesh.RemoveDir()
}

// soak runs everything side by side until the time is over or something cannot go on.
func soak(ctx context.Context, o Options, mesh *localmesh.Mesh, s *setting) (Result, error) {
	rotor := &rotor{Options: o, dir: mesh.Dir(), metrics: s.metrics, signed: map[string]bool{}}
	if err := errors.Join(rotor.ready(ctx), rotor.once(ctx)); err != nil {
		return Result{}, err
	}
	streams, err := newStreams(mesh, rotor)
	if err != nil {
		return Result{}, err
	}
	turns := &turns{parts: s.parts(mesh, rotor), done: map[string]int{}}
	tally := newTally(streams)

	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var all sync.WaitGroup
	runs := []func(context.Context) error{rotor.run, rotor.watch, turns.run}
	errs := make([]error, len(runs))
	for i, run := range runs {
		all.Go(func() {
			defer cancel()
			errs[i] = run(ctx)
		})
	}
	for _, one := range streams {
		all.Go(func() { one.run(ctx, mesh, tally) })
	}
	all.Go(func() { report(ctx, o.Progress, began, tally, rotor, turns) })
	all.Wait()
	return newResult(tally, rotor, turns), errors.Join(errs...)
}

func report(ctx context.Context, to io.Writer, began time.Time, tally *tally, rotor *rotor, turns *turns) {
	for pause(ctx, progressEvery) {
		r := newResult(tally, rotor, turns)
		_, _ = fmt.Fprintf(to, "%4.0fs  %s\n", time.Since(began).Seconds(), r.line())
	}
}

// pause is false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
