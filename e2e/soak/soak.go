// Package soak tests that changes under load change no answer, and that no process grows. Streams of requests go through the
// real gateway, Envoys and authorizers of a local mesh, at a share of its capacity. Some must be allowed and some denied.
// Meanwhile keys rotate every few seconds, documents and revocations change every second, and the key set's server,
// Redis and the authorizers are killed in turn.
//
// Each request has one right answer at all times, but for those whose document changes. A 503 by Envoy is counted separately:
// the authorizer was gone, so the request was neither decided nor allowed.
package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/pace"
)

// Options of a run.
type Options struct {
	Duration time.Duration // of the load, without start and end
	Rate     float64       // requests a second; 0: 70 % of the capacity, which is measured first
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

// parts are what a run does at the same time.
type parts struct {
	streams  []stream
	tally    *tally
	keys     *rotator
	policies *policyChanger
	revoked  *revoker
	restarts *killer
	sampler  *sampler
	capacity float64 // 0: not measured
	rate     float64
}

// runParts runs the load and all changes together, until the time is over or one of them fails.
func runParts(ctx context.Context, o Options, mesh *localmesh.Mesh, env *environment) (Result, error) {
	p, err := newParts(ctx, o, mesh, env)
	if err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Duration)
	defer cancel()
	var all sync.WaitGroup
	runs := []func(context.Context) error{
		p.keys.rotateUntilDone, p.keys.watchSigningKey, p.policies.changeUntilDone, p.revoked.revokeUntilDone,
		p.restarts.killInTurn, p.sampler.sampleUntilDone,
	}
	errs := make([]error, len(runs))
	for i, run := range runs {
		all.Go(func() {
			defer cancel()
			errs[i] = run(ctx)
		})
	}
	for _, one := range p.streams {
		all.Go(func() { one.sendUntilDone(ctx, mesh, p.tally, one.rateOf(p.rate, p.streams)) })
	}
	all.Go(func() { p.reportProgress(ctx, o.Progress) })
	all.Wait()
	return p.newResult(), errors.Join(errs...)
}

// newParts prepares a run, and measures the capacity.
func newParts(ctx context.Context, o Options, mesh *localmesh.Mesh, env *environment) (*parts, error) {
	keys := &rotator{every: o.Every, lead: o.Lead, dir: mesh.Dir(), metrics: strings.TrimPrefix(mesh.PluginMetricsURL(), "http://"), algorithms: map[string]string{}}
	if err := errors.Join(keys.waitForMetrics(ctx), keys.rotateOnce(ctx)); err != nil {
		return nil, err
	}
	p := &parts{keys: keys, policies: &policyChanger{dir: filepath.Join(mesh.Dir(), "policies")}, revoked: &revoker{address: env.list.address}, rate: o.Rate}
	var err error
	if p.streams, err = newStreams(mesh, keys, p.policies); err != nil {
		return nil, err
	}
	if o.Rate == 0 {
		if p.capacity, err = measureCapacity(ctx, mesh, p.streams[0]); err != nil {
			return nil, err
		}
		p.rate = loadShare * p.capacity
		_, _ = fmt.Fprintf(o.Progress, "capacity %.0f requests/s, load %.0f requests/s\n", p.capacity, p.rate)
	}
	began := time.Now()
	p.policies.began = began
	p.tally = newTally(p.streams, began)
	p.restarts = &killer{parts: env.parts(mesh, keys), restarts: map[string]int{}, duration: o.Duration, began: began}
	p.sampler = &sampler{mesh: mesh, began: began, all: map[string][]Sample{}, metrics: mesh.OpsAddresses()}
	return p, nil
}

func (p *parts) reportProgress(ctx context.Context, to io.Writer) {
	for pace.For(ctx, progressEvery) {
		r := p.newResult()
		_, _ = fmt.Fprintf(to, "%4.0fs  %s\n", time.Since(p.tally.began).Seconds(), r.summaryLine())
	}
}
