package bench

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

const (
	cpuMicros   = "µs of CPU"
	inFlightCPU = 16 // Checks in flight where CPU is measured
	inFlightMax = 32 // where throughput is measured
)

// checkRig is an authorizer beside a server that allows everything, with the same transport.
type checkRig struct {
	dir        string
	cores      cores
	allowAll   *server
	authorizer *authorizer
	message    []byte // a Check with a token that is remembered
	minted     time.Time
	restore    func() error
	most       float64 // Checks a second of the authorizer, as measured last
}

// newCheckGroup compares Checks with those of a server that allows everything.
func newCheckGroup() Group {
	rig := &checkRig{}
	rows := []Row{
		{Name: "allow-all", Unit: cpuMicros, Measure: rig.measureAllowAll},
		{Name: "remembered", Unit: cpuMicros, Measure: rig.measureRemembered, Base: []string{"allow-all"}, Target: Target{AtMost: 1.25}},
	}
	for _, algorithm := range keyset.Algorithms() {
		name := strings.ToLower(algorithm)
		fresh := Row{Name: "fresh-" + name, Unit: cpuMicros, Measure: rig.measureFresh(algorithm), Base: []string{"allow-all", "bare-" + name}}
		if algorithm == keyset.ES256 {
			fresh.Target = Target{AtMost: 1.25}
		}
		rows = append(rows, Row{Name: "bare-" + name, Unit: cpuMicros, Measure: rig.measureBare(algorithm), Helper: true}, fresh)
	}
	rows = append(rows,
		Row{Name: "allow-all-throughput", Unit: "Checks/s", Measure: rig.measureAllowAllThroughput, Helper: true},
		Row{Name: "throughput", Unit: "Checks/s", Measure: rig.measureThroughput, Base: []string{"allow-all-throughput"}, Target: Target{AtLeast: 0.85}},
		Row{Name: "allow-all-p99", Unit: "µs", Measure: rig.measureAllowAllP99, Helper: true},
		Row{Name: "p99", Unit: "µs", Measure: rig.measureP99, Base: []string{"allow-all-p99"}, Target: Target{AtMost: 1.5}},
		Row{Name: "keepalive", Unit: cpuMicros, Measure: rig.measureKeepalive, Once: true},
	)
	return Group{Name: "check", Start: rig.start, Rows: rows}
}

func (c *checkRig) start(ctx context.Context, r Round) (end func() error, err error) {
	if c.cores, err = findCores(); err != nil {
		return nil, err
	}
	if c.dir, err = os.MkdirTemp("", "meshpass-bench-"); err != nil {
		return nil, err
	}
	if c.allowAll, err = startAllowAll(ctx, c.dir, c.cores.server); err != nil {
		return c.end, err
	}
	if c.authorizer, err = startAuthorizer(ctx, r, c.dir, c.cores.server, nil); err != nil {
		return c.end, err
	}
	if c.restore, err = pinSelf(c.cores.load); err != nil {
		return c.end, err
	}
	return c.end, c.warmUp()
}

func (c *checkRig) end() error {
	var errs []error
	if c.restore != nil {
		errs = append(errs, c.restore())
	}
	if c.allowAll != nil {
		errs = append(errs, c.allowAll.close())
	}
	if c.authorizer != nil && c.authorizer.server != nil {
		errs = append(errs, c.authorizer.close())
	}
	return errors.Join(append(errs, os.RemoveAll(c.dir))...)
}

// warmUp fills pools and caches, so that the first round is like the others.
func (c *checkRig) warmUp() error {
	message, err := c.rememberedCheck()
	if err != nil {
		return err
	}
	for _, s := range []*server{c.allowAll, c.authorizer.server} {
		got, err := s.load(time.Second/2, inFlightMax, alwaysSend(message))
		if err != nil {
			return err
		}
		c.most = got.perSecond()
	}
	return nil
}

// rememberedCheck is the same for a minute: a token lives for five.
func (c *checkRig) rememberedCheck() ([]byte, error) {
	if c.message != nil && time.Since(c.minted) < time.Minute {
		return c.message, nil
	}
	messages, err := c.authorizer.newMessages(keyset.ES256, 1)
	if err != nil {
		return nil, err
	}
	c.message, c.minted = messages[0], time.Now()
	_, err = c.authorizer.load(time.Second/10, 2, alwaysSend(c.message))
	return c.message, err
}

func (c *checkRig) measureAllowAll(_ context.Context, r Round) (float64, error) {
	return measureCPU(func() (answered, error) { return c.loadRemembered(c.allowAll, r.Length, inFlightCPU) })
}

func (c *checkRig) measureRemembered(ctx context.Context, r Round) (float64, error) {
	return measureCPU(func() (answered, error) {
		return c.authorizer.profileDuring(ctx, r, "remembered", func() (answered, error) { return c.loadRemembered(c.authorizer.server, r.Length, inFlightCPU) })
	})
}

func (c *checkRig) loadRemembered(s *server, length time.Duration, inFlight int) (answered, error) {
	message, err := c.rememberedCheck()
	if err != nil {
		return answered{}, err
	}
	return s.load(length, inFlight, alwaysSend(message))
}

func measureCPU(load func() (answered, error)) (float64, error) {
	got, err := load()
	if err != nil {
		return 0, err
	}
	return got.cpuMicroseconds(), nil
}

// freshRates are how many new tokens a second are minted for a round: about as many as are verified, but an RSA signature costs
// much more than its verification, and the load has one processor.
var freshRates = map[string]float64{keyset.ES256: 5000, keyset.EdDSA: 7000, keyset.RS256: 1000}

// measureFresh mints the tokens before it measures.
func (c *checkRig) measureFresh(algorithm string) func(context.Context, Round) (float64, error) {
	return func(ctx context.Context, r Round) (float64, error) {
		messages, err := c.authorizer.newMessages(algorithm, int(freshRates[algorithm]*r.Length.Seconds()))
		if err != nil {
			return 0, err
		}
		return measureCPU(func() (answered, error) {
			return c.authorizer.profileDuring(ctx, r, "fresh-"+strings.ToLower(algorithm), func() (answered, error) {
				return c.authorizer.load(r.Length, inFlightCPU, takeTurns(messages))
			})
		})
	}
}

func (c *checkRig) measureBare(algorithm string) func(context.Context, Round) (float64, error) {
	return func(_ context.Context, r Round) (float64, error) {
		return measureBareVerification(algorithm, r.Length/8)
	}
}

func (c *checkRig) measureAllowAllThroughput(_ context.Context, r Round) (float64, error) {
	got, err := c.loadRemembered(c.allowAll, r.Length, inFlightMax)
	return got.perSecond(), err
}

func (c *checkRig) measureThroughput(_ context.Context, r Round) (float64, error) {
	got, err := c.loadRemembered(c.authorizer.server, r.Length, inFlightMax)
	c.most = got.perSecond()
	return c.most, err
}

func (c *checkRig) measureAllowAllP99(_ context.Context, r Round) (float64, error) {
	return c.measureLatency(c.allowAll, r)
}

func (c *checkRig) measureP99(_ context.Context, r Round) (float64, error) {
	return c.measureLatency(c.authorizer.server, r)
}

// measureLatency sends Checks at half of the authorizer's maximum, to both servers, and returns the 99th percentile.
func (c *checkRig) measureLatency(s *server, r Round) (float64, error) {
	message, err := c.rememberedCheck()
	if err != nil {
		return 0, err
	}
	interval := time.Duration(2 * float64(time.Second) / c.most)
	took, err := s.clients[0].runPaced(interval, int(r.Length/interval), message)
	if err != nil {
		return 0, err
	}
	slices.Sort(took)
	return float64(took[len(took)*99/100]) / 1e3, nil
}
