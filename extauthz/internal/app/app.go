// Package app is the authorizer as a process: what it is configured with, what
// starts in which order, how it follows its files, and how it stops.
//
// The order is the text of [Run]: everything is read and checked, everything is
// bound, and only then is the first request served. Whatever is wrong is
// reported together, before anything listens.
package app

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/check"
	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/limits"
	"github.com/meshpass/meshpass/extauthz/internal/ops"
	"github.com/meshpass/meshpass/extauthz/internal/trust"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/logqueue"
	"github.com/meshpass/meshpass/shared/audit"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/policy"
)

// Process is what the authorizer gets from its surroundings.
type Process struct {
	ConfigFile string
	Strict     bool                  // a change of policies is active as a whole or not at all, at the start too
	Stdout     io.Writer             // audit records, unless the configuration names a file
	Log        *slog.Logger          // must not block: Checks log
	LogStats   func() logqueue.Stats // of the lines of Log; nil: they are not counted
	Hangup     <-chan os.Signal      // each has the audit file opened again; nil: none comes
	Now        func() time.Time
	Poll       time.Duration // how often files are looked at; 0: once a second
	DrainDelay time.Duration // from "not ready" to the end of listening, where ops is configured
	Drain      time.Duration // how long open Checks may take to end at a stop
}

// Run serves until ctx ends. An error before that says why it could not: all
// problems of the configuration as [strictyaml.Problems], or the address that
// could not be bound.
func Run(ctx context.Context, p Process) error {
	a, err := until(ctx, func() (*authorizer, error) { return loadWithKeys(ctx, p) })
	if err != nil {
		return err
	}
	defer a.endAudit()
	defer a.registry.Close()
	checks, err := a.checks()
	if err != nil {
		return err
	}
	bound, err := bind(a.listeners, a.ops)
	if err != nil {
		return err
	}
	return a.serve(ctx, bound, checks)
}

// authorizer is a configuration that holds, compiled.
type authorizer struct {
	Process
	sources
	listeners []listenerConfig
	ops       string // address; empty: none
	mode      string // of TLS
	insecure  insecureConfig
	headers   decide.IdentityHeaders
	registry  *trust.Registry
	domains   identity.TrustDomains
	admit     []admission // one for each listener
	limiter   *limits.Limiter
	memory    bytesize.Size              // that peers can fill
	unknown   sync.Map                   // what warnUnknownIssuers has said last, by list
	homeless  atomic.Bool                // no entry of trust is home
	unguarded policy.Mode                // what happens to workloads that no document targets
	changing  sync.Mutex                 // of inForce
	inForce   atomic.Pointer[policy.Set] // documents under the overrides
	wanted    atomic.Pointer[string]     // generation of what the folders hold
	audit     auditTrail
	metrics   *ops.Metrics
	serving   atomic.Bool // the start has come to its end
}

// ErrStopped says that the process was to stop before it had read its files.
var ErrStopped = errors.New("stopped before all files were read")

// until is load, ended by ctx: a file can hang, as at a network mount whose server is
// away, and then the process must still end when it is asked to.
func until(ctx context.Context, load func() (*authorizer, error)) (*authorizer, error) {
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

// loadWithKeys also asks for the key sets at URLs.
func loadWithKeys(ctx context.Context, p Process) (*authorizer, error) {
	a, err := load(p)
	if err != nil {
		return nil, err
	}
	if err := a.registry.Apply(ctx, a.trust.Get().entries); err != nil {
		a.registry.Close()
		a.endAudit()
		return nil, err
	}
	return a, nil
}

func load(p Process) (*authorizer, error) {
	l, err := open(p.ConfigFile)
	if err != nil {
		return nil, err
	}
	if p.Poll == 0 {
		p.Poll = defaultPoll
	}
	a := &authorizer{Process: p, metrics: ops.NewMetrics(), limiter: limits.New(l.config.Limits.limits(), p.Log), memory: l.config.memory()}
	l.checkListeners()
	l.checkTLS()
	l.checkLimits()
	a.listeners, a.ops = l.config.Listeners, l.config.Ops
	a.mode, a.insecure = l.config.TLS.Mode, l.config.Insecure
	a.headers = l.identityHeaders()
	a.domains = l.trustDomains()
	dirs, unguarded := l.checkPolicies()
	a.unguarded = unguarded
	a.admit = l.admission(a.domains)
	a.watchTLS(l)
	a.watchServices(l)
	revoked := a.watchRevocations(l)
	a.registry = l.registry(a.domains, revoked, p)
	a.watchTrust(l)
	if a.trust != nil {
		a.homeless.Store(!hasHome(a.trust.Get().entries))
	}
	a.watchDocuments(l, dirs)
	a.watchOverrides(l)
	sink, output := l.auditSink(p.Stdout)
	if err := l.check.Err(); err != nil {
		closeSink(sink)
		return nil, err
	}
	a.audit = auditTrail{audit.New(sink, audit.Options{
		Queue: int(l.config.Audit.Queue), Anonymous: l.config.Audit.AnonymousDenials, Now: p.Now, Log: p.Log,
	}), output}
	a.enforce()
	return a, nil
}

// checks makes the service of each listener.
func (a *authorizer) checks() ([]*check.Server, error) {
	var servers []*check.Server
	for i, listener := range a.listeners {
		server, err := check.New(check.Config{
			Decide: decide.Config{
				Listener: listener.Name, TokenFailure: listener.TokenFailure,
				Peers:    listener.peers(a.domains, a.services[listener.Name]),
				Verifier: a.registry.Verifier, Policies: a.inForce.Load, IdentityHeaders: a.headers,
				Audit: a.audit.Log, Meter: a.metrics.Listener(listener.Name), Log: a.Log, Now: a.Now,
			},
			Admit: a.admit[i].check, Limiter: a.limiter,
		})
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
	}
	return servers, nil
}
