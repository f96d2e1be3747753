// Package metrics counts what the plugin does, and serves the counts as Prometheus reads them.
package metrics

import (
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/metrics/promtext"
	"github.com/meshpass/meshpass/shared/decision"
)

// Names are the closed lists of label values that the plugin uses.
type Names struct {
	Hooks      []string // measured one by one, without the time that Tyk takes between them
	Goroutines []string // the plugin's own
	Sources    []string // the configuration and the files that it names
}

// Meter counts what the plugin does. It lives as long as the gateway, while signers are replaced when
// their files change.
type Meter struct {
	names     Names
	decisions counters
	shadows   counters // decisions of edge documents that were not applied
	canary    counters
	hooks     map[string]*promtext.Histogram
	panics    map[string]*atomic.Uint64 // by goroutine
	sources   map[string]*Source

	Mapped MappedClaims
}

// Source is the state of one source of a signer.
type Source struct {
	Rejected atomic.Bool // its present content
	Failures atomic.Uint64
	Loaded   atomic.Int64 // when the active value was made, in milliseconds since 1970; 0: never
	Looked   atomic.Int64 // when the last look at its files came to its end, in milliseconds since 1970
}

// canaryReasons are all that the canary can answer.
var canaryReasons = []decision.Reason{decision.Issued, decision.NotConfigured, decision.NoSigningKey, decision.MintFailed, decision.ConfigInvalid, decision.Panic}

// NewMeter begins everything at 0: an alert on the first event of a kind needs a value before it.
func NewMeter(names Names) *Meter {
	m := &Meter{
		names:     names,
		decisions: countersFor(decision.Reasons()), shadows: countersFor(decision.Reasons()), canary: countersFor(canaryReasons), panics: countersFor(names.Goroutines),
		hooks: map[string]*promtext.Histogram{}, sources: map[string]*Source{},
	}
	for _, hook := range names.Hooks {
		m.hooks[hook] = promtext.NewHistogram(hookBounds...)
	}
	for _, name := range names.Sources {
		m.sources[name] = &Source{}
	}
	return m
}

// hookBounds: a hook takes tens of microseconds, and one signature with RSA a millisecond or more.
var hookBounds = []time.Duration{
	25 * time.Microsecond, 50 * time.Microsecond, 100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond,
}

// CountDecision counts the answer to a request.
func (m *Meter) CountDecision(reason decision.Reason) { m.decisions.count(reason) }

// CountShadows counts the decisions below d, which were not applied.
func (m *Meter) CountShadows(d decision.Decision) {
	for s := d.Shadow; s != nil; s = s.Shadow {
		m.shadows.count(s.Reason)
	}
}

// CountCanary counts an answer of the canary.
func (m *Meter) CountCanary(reason decision.Reason) { m.canary.count(reason) }

// CountPanic counts a panic in a goroutine of the plugin.
func (m *Meter) CountPanic(goroutine string) { m.panics[goroutine].Add(1) }

// ObserveHook records how long a hook took. It is deferred at the start of the hook.
func (m *Meter) ObserveHook(hook string, began time.Time) { m.hooks[hook].Observe(time.Since(began)) }

// Source gives the state of a source that [Names] lists.
func (m *Meter) Source(name string) *Source { return m.sources[name] }

// counters are those of a closed list of reasons.
type counters map[decision.Reason]*atomic.Uint64

// count counts a reason that is not in the list, which is a fault of ours, as a panic.
func (c counters) count(reason decision.Reason) {
	counter, listed := c[reason]
	if !listed {
		counter = c[decision.Panic]
	}
	counter.Add(1)
}

func countersFor[K comparable](names []K) map[K]*atomic.Uint64 {
	counters := map[K]*atomic.Uint64{}
	for _, name := range names {
		counters[name] = &atomic.Uint64{}
	}
	return counters
}
