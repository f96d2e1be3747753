package main

import (
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/promtext"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

// meter counts what the plugin does. It lives as long as the gateway: a signer
// comes and goes with its files.
type meter struct {
	decisions counters
	shadows   counters // answers of edge documents that were not given
	canary    counters
	hooks     map[string]*promtext.Histogram
	panics    map[string]*atomic.Uint64 // by goroutine
	sources   map[source]*sourceMeter
	mapped    mappedClaims

	revocations revocation.History
	alarmed     []string // what followRevocations has logged last; only watch.look uses it
}

// sourceMeter says how it stands with one source of a signer.
type sourceMeter struct {
	refused  atomic.Bool // what it holds now
	failures atomic.Uint64
	loaded   atomic.Int64 // milliseconds since 1970: when what is active was made; 0: never
	looked   atomic.Int64 // milliseconds since 1970: when the last look at its files came to its end
}

// The hooks are measured one by one: what Tyk does between them is not ours.
const (
	signHookName  = signHook
	guardHookName = guardHook
)

// canaryReasons are all that the canary can answer.
var canaryReasons = []decision.Reason{decision.Issued, decision.NotConfigured, decision.NoSigningKey, decision.MintFailed, decision.ConfigInvalid, decision.Panic}

// newMeter has everything at 0: an alert on the first event of a kind needs a
// value before it.
func newMeter() *meter {
	m := &meter{
		decisions: atZero(decision.Reasons()), shadows: atZero(decision.Reasons()), canary: atZero(canaryReasons), panics: atZero(goroutines),
		hooks: map[string]*promtext.Histogram{}, sources: map[source]*sourceMeter{},
	}
	for _, hook := range []string{signHookName, guardHookName} {
		m.hooks[hook] = promtext.NewHistogram(bounds...)
	}
	for _, s := range sources {
		m.sources[s] = &sourceMeter{}
	}
	return m
}

// bounds: a hook takes tens of microseconds, and one signature with RSA a
// millisecond or more.
var bounds = []time.Duration{
	25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
}

// counters are those of a closed list of reasons.
type counters map[decision.Reason]*atomic.Uint64

// add counts a reason that is not in the list, a fault of ours, as one.
func (c counters) add(reason decision.Reason) {
	counter, listed := c[reason]
	if !listed {
		counter = c[decision.Panic]
	}
	counter.Add(1)
}

func atZero[K comparable](names []K) map[K]*atomic.Uint64 {
	counters := map[K]*atomic.Uint64{}
	for _, name := range names {
		counters[name] = &atomic.Uint64{}
	}
	return counters
}

// foretold counts what is only watched.
func (m *meter) foretold(d decision.Decision) {
	for s := d.Shadow; s != nil; s = s.Shadow {
		m.shadows.add(s.Reason)
	}
}

// took is deferred at the start of a hook.
func (m *meter) took(hook string, began time.Time) { m.hooks[hook].Observe(time.Since(began)) }
