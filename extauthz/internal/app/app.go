// Package app is the authorizer as a process: its configuration, the order of its
// start, how it follows its files, and how it stops.
//
// The order of the start is the text of [Run] and [loadAuthorizer]: the configuration is read, checked with
// its defaults, and all files that it names are loaded; then addresses are bound, files are
// watched, and only then is the first request served. All mistakes are reported together, before
// anything listens.
package app

import (
	"context"
	"errors"
	"time"
)

// defaultPoll is how often the files are looked at.
const defaultPoll = time.Second

// Run serves until ctx ends. An error before that is [ErrStopped], all
// problems of the configuration as [strictyaml.Problems], or the address that
// could not be bound.
func Run(ctx context.Context, p Process) error {
	if p.Poll == 0 {
		p.Poll = defaultPoll
	}
	a, err := untilStopped(ctx, func() (*authorizer, error) { return loadWithKeys(ctx, p) })
	if err != nil {
		return err
	}
	defer a.shutDown()
	servers, err := a.newCheckServers()
	if err != nil {
		return err
	}
	bound, err := bind(a.config)
	if err != nil {
		return err
	}
	a.changes.serving.Store(true)
	defer watchAll(a.sources(), p.Poll)() // until the last Check is answered
	return newService(a, servers, bound).serve(ctx)
}

// loadWithKeys also fetches the key sets at URLs.
func loadWithKeys(ctx context.Context, p Process) (*authorizer, error) {
	a, err := loadAuthorizer(p)
	if err != nil {
		return nil, err
	}
	if err := a.registry.Apply(ctx, a.trust.issuers.Get().entries); err != nil {
		a.shutDown()
		return nil, err
	}
	return a, nil
}

// ErrStopped is the error of a process that was stopped before it had read its files.
var ErrStopped = errors.New("stopped before all files were read")

// untilStopped is load, ended by ctx: a file can hang, as at a network mount whose server is
// away, and then the process must still end when it is asked to.
func untilStopped(ctx context.Context, load func() (*authorizer, error)) (*authorizer, error) {
	loaded := make(chan struct{})
	var made *authorizer
	var failure error
	go func() {
		defer close(loaded)
		made, failure = load()
	}()
	select {
	case <-loaded:
		return made, failure
	case <-ctx.Done():
		return nil, ErrStopped
	}
}
