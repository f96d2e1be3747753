package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/plots"
	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Sweep is one property that is changed step by step, for the authorizer and for a server that allows everything.
type Sweep struct {
	Name   string       `json:"name"`
	X      string       `json:"x"` // what is changed, with its unit
	LogX   bool         `json:"-"`
	Points []SweepPoint `json:"points"`
}

// SweepPoint has medians of rounds.
type SweepPoint struct {
	X float64 `json:"x"`
	// Processor time of a Check, in microseconds, and Checks a second; the base is the server that allows everything.
	CPU       float64 `json:"cpu_us"`
	Base      float64 `json:"base_cpu_us"`
	PerSecond float64 `json:"checks_per_second"`
	BasePer   float64 `json:"base_checks_per_second"`
}

// sweepAxis makes the points of a sweep.
type sweepAxis struct {
	name, x string
	log     bool
	values  []float64
	prepare func(*sweepRig, float64) (sweepLoad, error)
}

// sweepLoad is a load at one point.
type sweepLoad struct {
	message  []byte
	inFlight int
	clients  int               // connections
	more     map[string]string // documents: a server of its own is started
	threads  int               // GOMAXPROCS of a server of its own, on all processors; 0: as the others
}

// Few in flight on a connection: larger Checks fit into its window too (64 KiB).
const (
	usualInFlight = 16
	usualClients  = 4
)

var sweepAxes = []sweepAxis{
	{"connections", "connections, each with a Check in flight", true, []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000}, func(s *sweepRig, x float64) (sweepLoad, error) {
		return sweepLoad{message: s.message, inFlight: int(x), clients: int(x)}, nil
	}},
	{"in-flight", "Checks in flight, up to 16 on a connection", true, []float64{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024}, func(s *sweepRig, x float64) (sweepLoad, error) {
		return sweepLoad{message: s.message, inFlight: int(x), clients: max(1, int(x)/16)}, nil
	}},
	{"gomaxprocs", "GOMAXPROCS, on all processors, beside the load", false, []float64{1, 2, 4}, func(s *sweepRig, x float64) (sweepLoad, error) {
		return sweepLoad{message: s.message, inFlight: usualInFlight, clients: usualClients, threads: int(x)}, nil
	}},
	{"token-size", "bytes of the token", true, []float64{512, 1024, 2048, 4096, 8192}, (*sweepRig).prepareTokenSize},
	{"headers", "headers of the request", false, []float64{10, 20, 40, 60, 80, 100}, (*sweepRig).prepareHeaders},
	{"documents", "documents", true, []float64{10, 100, 1000, 10000}, func(s *sweepRig, x float64) (sweepLoad, error) {
		return sweepLoad{message: s.message, inFlight: usualInFlight, clients: usualClients, more: manyDocuments(int(x))}, nil
	}},
}

// sweepRig is the running programs of all sweeps.
type sweepRig struct{ *checkRig }

// RunSweeps measures each sweep whose name matches, round by round, and writes its points and graphs into a folder.
func RunSweeps(ctx context.Context, names *regexp.Regexp, o Options, dir string) (all []Sweep, err error) {
	rig := &sweepRig{&checkRig{}}
	round := Round{Length: o.Length, Log: func(format string, args ...any) { _, _ = fmt.Fprintf(o.Progress, format+"\n", args...) }}
	end, err := rig.start(ctx, round)
	if end != nil {
		defer func() { err = errors.Join(err, end()) }()
	}
	if err != nil {
		return nil, err
	}
	for _, axis := range sweepAxes {
		if !names.MatchString(axis.name) {
			continue
		}
		sweep := Sweep{Name: axis.name, X: axis.x, LogX: axis.log}
		for _, x := range axis.values {
			point, err := rig.measurePoint(ctx, axis, x, o)
			if err != nil {
				return all, fmt.Errorf("%s at %g: %w", axis.name, x, err)
			}
			round.Log("%s %g: %.1f µs of CPU, %.0f Checks/s; a server that allows everything: %.1f, %.0f", axis.name, x, point.CPU, point.PerSecond, point.Base, point.BasePer)
			sweep.Points = append(sweep.Points, point)
		}
		all = append(all, sweep)
		if err := sweep.writeGraphs(dir); err != nil {
			return all, err
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no sweep matches %q", names)
	}
	return all, nil
}

// measurePoint takes the median of the rounds. The two servers take turns.
func (s *sweepRig) measurePoint(ctx context.Context, axis sweepAxis, x float64, o Options) (SweepPoint, error) {
	message, err := s.rememberedCheck()
	if err != nil {
		return SweepPoint{}, err
	}
	s.message = message
	load, err := axis.prepare(s, x)
	if err != nil {
		return SweepPoint{}, err
	}
	ours, theirs, end, err := s.findServers(ctx, &load)
	defer func() { _ = end() }() // servers of one point
	if err != nil {
		return SweepPoint{}, err
	}
	var cpu, base, perSecond, basePer []float64
	for range o.Rounds {
		for _, side := range []struct {
			server         *server
			cpu, perSecond *[]float64
		}{{ours, &cpu, &perSecond}, {theirs, &base, &basePer}} {
			got, err := side.server.loadOver(load, o.Length)
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return SweepPoint{}, err
			}
			*side.cpu, *side.perSecond = append(*side.cpu, got.cpuMicroseconds()), append(*side.perSecond, got.perSecond())
		}
	}
	return SweepPoint{X: x, CPU: middle(cpu), Base: middle(base), PerSecond: middle(perSecond), BasePer: middle(basePer)}, nil
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// findServers starts servers for a load that needs its own. The message of such a load has a token of theirs.
func (s *sweepRig) findServers(ctx context.Context, load *sweepLoad) (ours, theirs *server, end func() error, err error) {
	end = func() error { return nil }
	if load.more == nil && load.threads == 0 {
		return s.authorizer.server, s.allowAll, end, nil
	}
	dir, err := os.MkdirTemp(s.dir, "point-")
	if err != nil {
		return nil, nil, end, err
	}
	round, cpu := Round{Log: func(string, ...any) {}}, s.cores.server
	if load.threads > 0 {
		round.env, cpu = []string{fmt.Sprintf("GOMAXPROCS=%d", load.threads)}, anyCPU
	}
	own, err := startAuthorizer(ctx, round, dir, cpu, load.more)
	if err != nil {
		return nil, nil, end, err
	}
	end = own.close
	messages, err := own.newMessages(keyset.ES256, 1)
	if err != nil {
		return nil, nil, end, err
	}
	load.message = messages[0]
	theirs = s.allowAll
	if load.threads > 0 {
		if theirs, err = startAllowAll(ctx, dir, cpu, round.env...); err != nil {
			return nil, nil, end, err
		}
		end = func() error { return errors.Join(own.close(), theirs.close()) }
	}
	return own.server, theirs, end, nil
}

// loadOver is load over another number of connections.
func (s *server) loadOver(l sweepLoad, length time.Duration) (got answered, err error) {
	own := &server{name: s.name, process: s.process, clients: slices.Clone(s.clients[:min(l.clients, len(s.clients))])}
	defer func() {
		for _, c := range own.clients[min(len(own.clients), len(s.clients)):] {
			_ = c.close() // the load has ended
		}
	}()
	for len(own.clients) < l.clients {
		c, err := newClient(s.address)
		if err != nil {
			return got, err
		}
		own.clients = append(own.clients, c)
	}
	if _, err := own.load(length/8, l.inFlight, alwaysSend(l.message)); err != nil { // the first Check of each connection costs more
		return got, err
	}
	return own.load(length, l.inFlight, alwaysSend(l.message))
}

// prepareTokenSize pads a claim, so that the token has so many bytes.
func (s *sweepRig) prepareTokenSize(size float64) (sweepLoad, error) {
	mint := func(padding int) (string, error) {
		raw, _, err := s.authorizer.minters[keyset.ES256].Mint(identity.Identity{
			Subject: identity.Subject{Namespace: "demo", ID: "a"}, Scopes: []string{"orders.read"}, Requester: checks.Gateway, API: identity.API{ID: "o", Name: "o"}, Org: "o",
			Method: "jwt", Claims: map[string]any{"tenant": "acme", "pad": strings.Repeat("x", padding)},
		})
		return raw, err
	}
	raw, err := mint(0)
	if err != nil {
		return sweepLoad{}, err
	}
	if padding := (int(size) - len(raw)) * 3 / 4; padding > 0 { // base64
		if raw, err = mint(padding); err != nil {
			return sweepLoad{}, err
		}
	}
	message, err := frameMessage(newCheck(raw))
	return sweepLoad{message: message, inFlight: usualInFlight, clients: usualClients}, err
}

// prepareHeaders adds headers of 20 bytes, up to the number.
func (s *sweepRig) prepareHeaders(count float64) (sweepLoad, error) {
	raw, err := s.authorizer.newToken(keyset.ES256)
	if err != nil {
		return sweepLoad{}, err
	}
	message, err := frameMessage(addHeaders(newCheck(raw), int(count)))
	return sweepLoad{message: message, inFlight: usualInFlight, clients: usualClients}, err
}

// manyDocuments are for other workloads, with a rule of each usual kind.
func manyDocuments(count int) map[string]string {
	more := map[string]string{}
	for i := range count - 1 { // and the shipped one
		more[fmt.Sprintf("d%d.yaml", i)] = fmt.Sprintf(`apiVersion: meshpass.dev/v1
kind: AccessPolicy
metadata: {name: d%[1]d}
spec:
  targets: {workloads: [ns/team/sa/w%[1]d]}
  rules:
    - {name: read, effect: allow, to: {methods: [GET], paths: ["/tenants/{tenant}/things/{id}"]}, scopes: [things.read], when: claims.tctx.tenant == path.tenant}
`, i)
	}
	return more
}

// writeGraphs writes NAME-cpu.svg and NAME-throughput.svg.
func (s Sweep) writeGraphs(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	series := func(name string, value func(SweepPoint) float64) plots.Series {
		one := plots.Series{Name: name, Dots: true}
		for _, p := range s.Points {
			one.Points = append(one.Points, plots.Point{X: p.X, Y: value(p)})
		}
		return one
	}
	for _, g := range []struct {
		file, title, y string
		ours, base     func(SweepPoint) float64
	}{
		{"cpu", "CPU of a Check", "µs", func(p SweepPoint) float64 { return p.CPU }, func(p SweepPoint) float64 { return p.Base }},
		{"throughput", "Throughput", "Checks/s", func(p SweepPoint) float64 { return p.PerSecond }, func(p SweepPoint) float64 { return p.BasePer }},
	} {
		svg, err := plots.Draw(plots.Graph{
			Title: g.title + " by " + strings.ReplaceAll(s.Name, "-", " "), X: s.X, Y: g.y, LogX: s.LogX, ZeroY: true,
			Series: []plots.Series{series("authorizer", g.ours), series("allows everything", g.base)},
		})
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, s.Name+"-"+g.file+".svg"), svg, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// PrintSweeps writes the points as tables.
func PrintSweeps(to io.Writer, all []Sweep) error {
	for _, s := range all {
		if _, err := fmt.Fprintf(to, "%s\n%10s %12s %12s %8s %12s %12s\n", s.X, s.Name, "µs of CPU", "allow-all", "ratio", "Checks/s", "allow-all"); err != nil {
			return err
		}
		for _, p := range s.Points {
			if _, err := fmt.Fprintf(to, "%10g %12.1f %12.1f %8.2f %12.0f %12.0f\n", p.X, p.CPU, p.Base, p.CPU/p.Base, p.PerSecond, p.BasePer); err != nil {
				return err
			}
		}
	}
	return nil
}
