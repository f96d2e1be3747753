package bench

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/meshpass/meshpass/shared/keyset"
)

const (
	// gatewayClients are the requests in flight at any time.
	gatewayClients = 8
	// shortTurn is how long one API is loaded before it is the turn of the next. The processor's speed changes from second to second
	// on a shared machine, by more than the plugin costs.
	shortTurn = 200 * time.Millisecond
)

// gatewayRig is one gateway for each algorithm. Each has the same API without a plugin, with one that does nothing, and with ours.
// The gateways share a processor; clients, upstream and Redis have the other one.
type gatewayRig struct {
	dir      string
	redis    *miniredis.Miniredis
	stop     context.CancelFunc // of the upstream
	gateways map[string]*tyk    // by algorithm
	restore  func() error
	jwt      string
	measured map[string]map[string]answered // of this round, by algorithm and API
	round    int
}

// newGatewayGroup compares the plugin with none and with one that does nothing. A row of CPU and one of throughput come from the
// same load.
func newGatewayGroup() Group {
	rig := &gatewayRig{}
	rows := []Row{
		{Name: "none", Unit: cpuMicros, Measure: rig.measureCPU(keyset.EdDSA, "none")},
		{Name: "noop", Unit: cpuMicros, Measure: rig.measureCPU(keyset.EdDSA, "noop"), Base: []string{"none"}},
		{Name: "bare-verification", Unit: cpuMicros, Measure: func(_ context.Context, r Round) (float64, error) {
			return measureBareVerification(keyset.ES256, r.Length/8)
		}, Helper: true},
	}
	for _, algorithm := range keyset.Algorithms() {
		name := strings.ToLower(algorithm)
		own, throughput := Target{}, Target{}
		if algorithm != keyset.RS256 {
			own = Target{AtMost: 0.5}
		}
		if algorithm == keyset.EdDSA {
			throughput = Target{AtLeast: 0.85}
		}
		rows = append(rows, Row{Name: "bare-signature-" + name, Unit: cpuMicros, Measure: func(_ context.Context, r Round) (float64, error) {
			return measureBareSignature(algorithm, r.Length/8)
		}, Helper: true})
		rows = append(rows, rig.comparePlugin(name, algorithm, "noop", "plugin", own, throughput)...)
		if algorithm == keyset.EdDSA {
			rows = append(rows, rig.comparePlugin("jwt-"+name, algorithm, "jwt-noop", "jwt-plugin", Target{}, Target{})...)
		}
	}
	return Group{Name: "gateway", Start: rig.start, Rows: rows}
}

// comparePlugin compares an API with our plugin with the same API of the same gateway that has an empty plugin.
func (g *gatewayRig) comparePlugin(name, algorithm, noop, plugin string, own, throughput Target) []Row {
	return []Row{
		{Name: name + "-noop", Unit: cpuMicros, Measure: g.measureCPU(algorithm, noop), Helper: true},
		{Name: name + "-noop-throughput", Unit: "requests/s", Measure: g.measureThroughput(algorithm, noop), Helper: true},
		{Name: name, Unit: cpuMicros, Measure: g.measureCPU(algorithm, plugin), Base: []string{name + "-noop"}},
		{Name: name + "-throughput", Unit: "requests/s", Measure: g.measureThroughput(algorithm, plugin), Base: []string{name + "-noop-throughput"}, Target: throughput},
		{Name: name + "-own", Unit: cpuMicros, Measure: g.measureCPU(algorithm, plugin),
			Base: []string{"bare-verification"}, Minus: []string{name + "-noop", "bare-signature-" + strings.ToLower(algorithm)}, Target: own},
	}
}

func (g *gatewayRig) start(ctx context.Context, r Round) (end func() error, err error) {
	*g = gatewayRig{gateways: map[string]*tyk{}, jwt: newCallerJWT()}
	cores, err := findCores()
	if err != nil {
		return nil, err
	}
	if g.dir, err = os.MkdirTemp("", "meshpass-bench-"); err != nil {
		return nil, err
	}
	ctx, g.stop = context.WithCancel(ctx)
	upstream, err := startUpstream(ctx)
	if err != nil {
		return g.end, err
	}
	if g.redis, err = miniredis.Run(); err != nil {
		return g.end, err
	}
	redis, err := net.ResolveTCPAddr("tcp", g.redis.Addr())
	if err != nil {
		return g.end, err
	}
	for _, algorithm := range keyset.Algorithms() {
		gateway, err := startTyk(ctx, r, filepath.Join(g.dir, algorithm), algorithm, cores.server, redis, upstream)
		if err != nil {
			return g.end, err
		}
		g.gateways[algorithm] = gateway
	}
	if g.restore, err = pinSelf(cores.load); err != nil {
		return g.end, err
	}
	return g.end, g.warmUp(ctx)
}

func (g *gatewayRig) end() error {
	var errs []error
	if g.restore != nil {
		errs = append(errs, g.restore())
	}
	for _, gateway := range g.gateways {
		errs = append(errs, gateway.process.Stop())
	}
	if g.redis != nil {
		g.redis.Close()
	}
	g.stop()
	return errors.Join(append(errs, os.RemoveAll(g.dir))...)
}

// warmUp makes each API load its definition and its session.
func (g *gatewayRig) warmUp(ctx context.Context) error {
	for _, gateway := range g.gateways {
		if _, err := g.loadInTurns(ctx, Round{}, gateway, time.Second); err != nil {
			return err
		}
	}
	return nil
}

// loadInTurns loads all APIs of a gateway, one at a time, in short turns until each was loaded for the given time. Where profiles are
// asked for, each API has one long turn, so that each has a profile.
func (g *gatewayRig) loadInTurns(ctx context.Context, r Round, gateway *tyk, length time.Duration) (map[string]answered, error) {
	loads, got := map[string]httpLoad{}, map[string]answered{}
	for _, a := range gatewayAPIs {
		l := newHTTPLoad(gateway.url+a.listenPath(), gateway.key, gatewayClients, gateway.process)
		if a.jwt {
			l.authorization = "Bearer " + g.jwt
		}
		defer l.close()
		loads[a.id] = l
	}
	turns := max(1, int(length/shortTurn))
	if r.Profile != "" {
		turns = 1
	}
	for range turns {
		for _, a := range gatewayAPIs {
			more, err := gateway.profileDuring(ctx, r, a.id, func() (answered, error) {
				return loads[a.id].run(ctx, length/time.Duration(turns))
			})
			if err != nil {
				return nil, err
			}
			got[a.id] = got[a.id].plus(more)
		}
	}
	return got, nil
}

func (g *gatewayRig) measureCPU(algorithm, api string) func(context.Context, Round) (float64, error) {
	return func(ctx context.Context, r Round) (float64, error) {
		return measureCPU(func() (answered, error) { return g.measureOnce(ctx, r, algorithm, api) })
	}
}

func (g *gatewayRig) measureThroughput(algorithm, api string) func(context.Context, Round) (float64, error) {
	return func(ctx context.Context, r Round) (float64, error) {
		got, err := g.measureOnce(ctx, r, algorithm, api)
		return got.perSecond(), err
	}
}

// measureOnce loads the APIs of a gateway once in each round.
func (g *gatewayRig) measureOnce(ctx context.Context, r Round, algorithm, api string) (answered, error) {
	if g.measured == nil || g.round != r.Number {
		g.measured, g.round = map[string]map[string]answered{}, r.Number
	}
	if got, known := g.measured[algorithm]; known {
		return got[api], nil
	}
	got, err := g.loadInTurns(ctx, r, g.gateways[algorithm], r.Length)
	g.measured[algorithm] = got
	return got[api], err
}
