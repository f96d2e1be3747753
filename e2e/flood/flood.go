// Package flood sends an authorizer one kind of input in endless variations, and measures that it stays
// within its bounds: memory, goroutines, descriptors and metric series. It starts the real program with
// the limits, the TLS mode and the container memory that manifests/base ships, on loopback addresses.
package flood

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/pace"
)

// Options of [Run].
type Options struct {
	Kinds    []string      // of [KindNames]; empty: all, one after the other
	Parallel int           // floods at one time, each with an authorizer of its own; 0: one
	Duration time.Duration // of each flood
	Rate     float64       // Checks or connections a second; 0: as many as are answered
	Senders  int           // that wait for an answer at one time; 0: 16
	Progress io.Writer
}

const (
	defaultSenders = 16

	sampleEvery   = time.Second
	progressEvery = 5 * time.Second
)

// Run runs the floods, and returns the results of those that were measured to their end. An error is for the
// others. A broken bound is in the results.
func Run(ctx context.Context, o Options) ([]Result, error) {
	kinds, err := findKinds(o.Kinds)
	if err != nil {
		return nil, err
	}
	if o.Senders == 0 {
		o.Senders = defaultSenders
	}
	var (
		results = make([]Result, len(kinds))
		errs    = make([]error, len(kinds))
		places  = make(chan struct{}, max(o.Parallel, 1))
		all     sync.WaitGroup
	)
	for i, k := range kinds {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if ctx.Err() != nil {
				errs[i] = ctx.Err()
				return
			}
			result, err := runOne(ctx, k, o)
			if results[i] = result; err != nil {
				errs[i] = fmt.Errorf("%s: %w", k.name, err)
			}
		})
	}
	all.Wait()
	results = slices.DeleteFunc(results, func(r Result) bool { return r.Wrong == nil }) // not measured to the end
	return results, errors.Join(errs...)
}

// runOne starts an authorizer, floods it, and measures it before, during and after the flood.
func runOne(ctx context.Context, k kind, o Options) (r Result, err error) {
	a, err := startAuthorizer(ctx, k.setup)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	if err := a.warmUp(ctx); err != nil {
		return r, err
	}
	r = Result{Kind: k.name, Container: a.container.kind}
	if r.Idle, err = a.measureLive(ctx); err != nil {
		return r, err
	}
	r.Bounds = k.boundsFrom(r.Idle, a.memory)
	f := newFlood(a, k, o)
	began := time.Now()
	r.Highest, err = f.runAndSample(ctx, o, r.Idle)
	r.Highest.Resident = a.peak
	r.Seconds, r.Outcomes, r.Sent = time.Since(began).Seconds(), f.tally.outcomes(), f.next.Load()
	if err != nil {
		return r, err
	}
	if r.After, err = a.awaitSettled(ctx, r.Bounds); err != nil {
		return r, err
	}
	r.ContainerPeak = a.container.peak()
	r.addProblems(k)
	return r, nil
}

// flood is a running flood.
type flood struct {
	authorizer *authorizer
	kind       kind
	pace       *pace.Pace
	next       counter // number of the next Check or connection
	tally      tally
	senders    int
}

func newFlood(a *authorizer, k kind, o Options) *flood {
	return &flood{authorizer: a, kind: k, pace: pace.New(o.Rate), senders: o.Senders}
}

// runAndSample returns the highest figures during the flood. All connections of the flood are closed then.
func (f *flood) runAndSample(ctx context.Context, o Options, idle Figures) (highest Figures, err error) {
	during, stop := context.WithTimeout(ctx, o.Duration)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- f.kind.flood(during, f) }()
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	highest = idle
	began, tick := time.Now(), time.NewTicker(sampleEvery)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-during.Done():
			now, err := f.authorizer.measure(ctx)
			return highest.highest(now), err
		case <-tick.C:
		}
		now, err := f.authorizer.measure(ctx)
		if err != nil {
			return highest, err
		}
		highest = highest.highest(now)
		if n%int(progressEvery/sampleEvery) == 0 {
			_, _ = fmt.Fprintf(o.Progress, "%-10s %4.0fs  sent %d, %s\n", f.kind.name, time.Since(began).Seconds(), f.next.Load(), now)
		}
	}
}
