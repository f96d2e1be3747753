// Package doctor checks a running installation: gateways, authorizers, Envoys and Istio's control plane, by what each
// of them reports about itself. It only reads. Parts are asked first, and lines are made from their answers.
package doctor

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Names of the checks, in the order of their lines.
const (
	gatewayCheck    = "gateway"
	canaryCheck     = "canary"
	pluginCheck     = "plugin"
	authorizerCheck = "authorizer"
	generationCheck = "generation"
	keysCheck       = "keys"
	clockCheck      = "clock"
	envoyCheck      = "envoy"
	providerCheck   = "provider"
	istiodCheck     = "istiod"
)

// Checks are the names of all checks.
var Checks = []string{gatewayCheck, canaryCheck, pluginCheck, authorizerCheck, generationCheck, keysCheck, clockCheck, envoyCheck, providerCheck, istiodCheck}

// Installation is what to check. A part whose list is empty is reported as not checked.
type Installation struct {
	Gateways    []Gateway
	Authorizers []Address
	Envoys      []Envoy
	Istiods     []Address

	// Missing is why a part is not known, and what to do, instead of the text for a missing address. The keys are
	// names of checks.
	Missing map[string]Missing
	// Lines are made by the caller, such as those of parts that it could not find.
	Lines []Line
}

// Missing is a part that is not known.
type Missing struct{ Detail, Do string }

// Gateway is a Tyk gateway with the plugin.
type Gateway struct {
	Name    string // of the gateway, for lines that are about several of its addresses
	Hello   Address
	Canary  Address
	Metrics Address // of the plugin; without a URL it is not known
	// NoMetrics is why Metrics is not known.
	NoMetrics Missing
}

// Envoy is the Envoy of a guarded workload, with its admin interface.
type Envoy struct {
	Admin Address
	Open  bool // its requests pass while the authorizer cannot be asked
}

// Address is where a part of the installation answers.
type Address struct {
	Name   string       // for people; empty: the URL
	URL    string       // without a slash at the end
	Client *http.Client // nil: one that uses no proxy
}

func (a Address) String() string {
	if a.Name != "" {
		return a.Name
	}
	return a.URL
}

// Options of a run.
type Options struct {
	Timeout  time.Duration // for one answer
	MaxSkew  time.Duration // between the clocks of two parts
	Provider Provider
	Skip     []string                  // names of checks
	Progress func(answered, asked int) // is called every ProgressEvery while answers are missing

	ProgressEvery time.Duration
}

// Provider is the authorizer, as Istio's extension providers name it.
type Provider struct {
	Namespace string // its Services are SERVICE.NAMESPACE.DOMAIN
	Service   string // the host name of its Service; empty: any in the namespace
}

// atOnce bounds the requests at one time.
const atOnce = 16

// Run asks all parts and checks their answers.
func Run(ctx context.Context, installation Installation, o Options) Report {
	seen := observe(ctx, installation, o)
	report := Report{Lines: slices.Clone(installation.Lines)}
	for _, check := range []struct {
		name string
		run  func(*observations) []Line
	}{
		{gatewayCheck, checkGateways},
		{canaryCheck, checkCanaries},
		{pluginCheck, checkPlugins},
		{authorizerCheck, checkAuthorizers},
		{generationCheck, checkGenerations},
		{keysCheck, checkKeys},
		{clockCheck, func(seen *observations) []Line { return checkClocks(seen, o.MaxSkew) }},
		{envoyCheck, func(seen *observations) []Line { return checkEnvoys(seen, o.Provider) }},
		{providerCheck, func(seen *observations) []Line { return checkProviders(seen, o.Provider) }},
		{istiodCheck, checkIstiods},
	} {
		if slices.Contains(o.Skip, check.name) {
			report.Lines = slices.DeleteFunc(report.Lines, func(l Line) bool { return l.Check == check.name })
			report.Lines = append(report.Lines, Line{Check: check.name, Result: Skipped, Detail: "by --skip"})
			continue
		}
		report.Lines = append(report.Lines, check.run(seen)...)
	}
	slices.SortStableFunc(report.Lines, func(a, b Line) int { return slices.Index(Checks, a.Check) - slices.Index(Checks, b.Check) })
	return report
}

// observations are the answers of all parts.
type observations struct {
	missing     map[string]Missing
	gateways    []gatewayAnswers
	authorizers []authorizerAnswer
	envoys      []envoyAnswers
	istiods     []istiodAnswer
}

// observe asks all parts at the same time.
func observe(ctx context.Context, installation Installation, o Options) *observations {
	seen := &observations{
		missing:     installation.Missing,
		gateways:    make([]gatewayAnswers, len(installation.Gateways)),
		authorizers: make([]authorizerAnswer, len(installation.Authorizers)),
		envoys:      make([]envoyAnswers, len(installation.Envoys)),
		istiods:     make([]istiodAnswer, len(installation.Istiods)),
	}
	var asks []func()
	for i, g := range installation.Gateways {
		asks = append(asks, func() { seen.gateways[i] = askGateway(ctx, g, o.Timeout) })
	}
	for i, a := range installation.Authorizers {
		asks = append(asks, func() { seen.authorizers[i] = askAuthorizer(ctx, a, o.Timeout) })
	}
	for i, e := range installation.Envoys {
		asks = append(asks, func() { seen.envoys[i] = askEnvoy(ctx, e, o.Timeout) })
	}
	for i, a := range installation.Istiods {
		asks = append(asks, func() { seen.istiods[i] = askIstiod(ctx, a, o.Timeout) })
	}
	var (
		all      sync.WaitGroup
		answered atomic.Int64
	)
	places := make(chan struct{}, atOnce)
	for _, ask := range asks {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			ask()
			answered.Add(1)
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	tick := time.NewTicker(o.ProgressEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return seen
		case <-tick.C:
			o.Progress(int(answered.Load()), len(asks))
		}
	}
}

// describeMissing is the line of a part without an address.
func (seen *observations) describeMissing(check, detail, do string) []Line {
	if m, known := seen.missing[check]; known {
		detail, do = m.Detail, m.Do
	}
	return []Line{{Check: check, Result: NotChecked, Detail: detail, Do: do}}
}
