// Package app is the authorizer as a process: what it is configured with, what
// starts in which order, and how it stops.
//
// The order is the text of [Run]: everything is read and checked, everything is
// bound, and only then is the first request served. Whatever is wrong is
// reported together, before anything listens.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/extauthz/check"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
	"github.com/meshpass/meshpass/shared/token"
)

// Process is what the authorizer gets from its surroundings.
type Process struct {
	ConfigFile string
	Stdout     io.Writer // audit records, unless the configuration names a file
	Log        *slog.Logger
	Now        func() time.Time
	Drain      time.Duration // how long open Checks may take to end at a stop
}

// Run serves until ctx ends. An error before that says why it could not: all
// problems of the configuration as [strictyaml.Problems], or the address that
// could not be bound.
func Run(ctx context.Context, p Process) error {
	a, err := load(p)
	if err != nil {
		return err
	}
	defer a.audit.Close()
	checks, err := a.checks()
	if err != nil {
		return err
	}
	listeners, err := bind(a.listeners)
	if err != nil {
		return err
	}
	return a.serve(ctx, listeners, checks)
}

// authorizer is a configuration that holds, compiled.
type authorizer struct {
	Process
	listeners []listenerConfig
	domains   identity.TrustDomains
	verifier  *token.Verifier
	policies  *policy.Set
	audit     io.WriteCloser
}

func load(p Process) (*authorizer, error) {
	l, err := open(p.ConfigFile)
	if err != nil {
		return nil, err
	}
	a := &authorizer{Process: p, listeners: l.config.Listeners}
	l.checkListeners()
	l.checkLimits()
	a.domains = l.trustDomains()
	trust := l.trust(a.domains)
	a.policies = l.policies()
	a.audit = l.openAudit(p.Stdout)
	if err := l.err(); err != nil {
		a.audit.Close()
		return nil, err
	}
	a.verifier, err = token.NewVerifier(trust, a.domains, token.Options{MaxBytes: l.config.Limits.TokenBytes, Now: p.Now})
	if err != nil {
		a.audit.Close()
		return nil, fmt.Errorf("configuration %s: %w", p.ConfigFile, err)
	}
	return a, nil
}

// checks makes the service of each listener; they differ in name and statuses.
func (a *authorizer) checks() ([]*check.Server, error) {
	records := audit.New(a.audit)
	var servers []*check.Server
	for _, listener := range a.listeners {
		server, err := check.New(check.Config{
			Listener: listener.Name, TokenFailure: listener.TokenFailure,
			Domains: a.domains, Verifier: a.verifier, Policies: a.policies,
			Audit: records, Log: a.Log, Now: a.Now,
		})
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return servers, nil
}
