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

// gatewayClients are the requests in flight at any time.
const gatewayClients = 8

// gatewayRig is one gateway for each algorithm. Each has the same API without a plugin, with one that does nothing, and with ours.
// The gateways share a processor; clients, upstream and Redis have the other one.
type gatewayRig struct {
	dir      string
	redis    *miniredis.Miniredis
	stop     context.CancelFunc // of the upstream
	gateways map[string]*tyk    // by algorithm
	restore  func() error
	jwt      string
	measured map[string]answered // of this round, by the name of the row
	round    int
}

// newGatewayGroup compares the plugin with none and with one that does nothing. A row of CPU and one of throughput come from the
// same load.
func newGatewayGroup() Group {
	rig := &gatewayRig{}
	rows := []Row{
		{Name: "none", Unit: cpuMicros, Measure: rig.measureCPU(keyset.ES256, "none")},
		{Name: "noop", Unit: cpuMicros, Measure: rig.measureCPU(keyset.ES256, "noop"), Base: []string{"none"}},
		{Name: "noop-throughput", Unit: "requests/s", Measure: rig.measureThroughput(keyset.ES256, "noop"), Helper: true},
		{Name: "jwt-noop", Unit: cpuMicros, Measure: rig.measureCPU(keyset.EdDSA, "jwt-noop"), Base: []string{"noop"}},
		{Name: "jwt-noop-throughput", Unit: "requests/s", Measure: rig.measureThroughput(keyset.EdDSA, "jwt-noop"), Helper: true},
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
		rows = append(rows,
			Row{Name: name, Unit: cpuMicros, Measure: rig.measureCPU(algorithm, "plugin"), Base: []string{"noop"}},
			Row{Name: name + "-throughput", Unit: "requests/s", Measure: rig.measureThroughput(algorithm, "plugin"), Base: []string{"noop-throughput"}, Target: throughput},
			Row{Name: "bare-signature-" + name, Unit: cpuMicros, Measure: func(_ context.Context, r Round) (float64, error) {
				return measureBareSignature(algorithm, r.Length/8)
			}, Helper: true},
			Row{Name: name + "-own", Unit: cpuMicros, Measure: rig.measureCPU(algorithm, "plugin"),
				Base: []string{"bare-verification"}, Minus: []string{"noop", "bare-signature-" + name}, Target: own},
		)
		if algorithm == keyset.EdDSA {
			rows = append(rows,
				Row{Name: "jwt-eddsa", Unit: cpuMicros, Measure: rig.measureCPU(algorithm, "jwt-plugin"), Base: []string{"jwt-noop"}},
				Row{Name: "jwt-eddsa-throughput", Unit: "requests/s", Measure: rig.measureThroughput(algorithm, "jwt-plugin"), Base: []string{"jwt-noop-throughput"}},
				Row{Name: "jwt-eddsa-own", Unit: cpuMicros, Measure: rig.measureCPU(algorithm, "jwt-plugin"),
					Base: []string{"bare-verification"}, Minus: []string{"jwt-noop", "bare-signature-eddsa"}},
			)
		}
	}
	return Group{Name: "gateway", Start: rig.start, Rows: rows}
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
		for _, a := range gatewayAPIs {
			if _, err := g.loadAPI(ctx, gateway, a.id, time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *gatewayRig) loadAPI(ctx context.Context, gateway *tyk, api string, length time.Duration) (answered, error) {
	l := httpLoad{url: gateway.url + "/" + api + "/", authorization: gateway.key, clients: gatewayClients, server: gateway.process}
	if strings.HasPrefix(api, "jwt-") {
		l.authorization = "Bearer " + g.jwt
	}
	return l.run(ctx, length)
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

// measureOnce loads an API once in each round.
func (g *gatewayRig) measureOnce(ctx context.Context, r Round, algorithm, api string) (answered, error) {
	if g.measured == nil || g.round != r.Number {
		g.measured, g.round = map[string]answered{}, r.Number
	}
	name := api + "-" + strings.ToLower(algorithm)
	if got, known := g.measured[name]; known {
		return got, nil
	}
	gateway := g.gateways[algorithm]
	got, err := gateway.profileDuring(ctx, r, name, func() (answered, error) { return g.loadAPI(ctx, gateway, api, r.Length) })
	if err == nil {
		g.measured[name] = got
	}
	return got, err
}
