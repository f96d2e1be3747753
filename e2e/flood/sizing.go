package flood

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/pace"
)

// SizingOptions of [MeasureSizing].
type SizingOptions struct {
	Duration time.Duration // of each kind of Check, and of the time without Checks
	Rate     float64       // Checks a second; 0: as many as are answered
	Tokens   int64         // to cache: less than the cache has room for
	Progress io.Writer
}

// Sizing is what an authorizer needs. CPU is the process's own time (process_cpu_seconds_total), which other
// programs on the machine change less than times of day.
type Sizing struct {
	Processors  int           `json:"processors"`
	LoadAtStart string        `json:"load_at_start"` // of the machine, of 1, 5 and 15 minutes
	LoadAtEnd   string        `json:"load_at_end"`
	Idle        Figures       `json:"idle"`
	IdleCPU     float64       `json:"idle_cpu"` // seconds of CPU a second
	Checks      []CheckCost   `json:"checks"`
	Documents   DocumentsCost `json:"documents"`
	Tokens      TokensCost    `json:"tokens"`
	Reloads     []ReloadCost  `json:"reloads"`
}

// CheckCost is the cost of one kind of Check.
type CheckCost struct {
	Name     string  `json:"name"`
	Sent     int64   `json:"sent"`
	Rate     float64 `json:"rate"`             // Checks a second
	CPU      float64 `json:"cpu_per_thousand"` // seconds for 1,000 Checks
	Resident int64   `json:"resident_bytes"`   // the highest
}

// DocumentsCost is the cost of 1,000 more documents.
type DocumentsCost struct {
	Live     int64   `json:"live_bytes"`
	Resident int64   `json:"resident_bytes"`
	Start    float64 `json:"start_cpu"` // seconds of CPU, until Checks are answered
}

// TokensCost is the cost of 10,000 more tokens in the cache.
type TokensCost struct {
	Sent      int64 `json:"sent"`
	TokenSize int   `json:"token_bytes"`
	Live      int64 `json:"live_bytes"`
	Resident  int64 `json:"resident_bytes"`
}

const manyDocuments = 1000

// checkCosts are the kinds of Checks whose cost is measured.
var checkCosts = []kind{
	{name: "the same token for a minute", newCheck: checkSameToken, want: []string{"allow"}},
	{name: "a new token each time, ES256", newCheck: checkNewToken, want: []string{"allow"}},
	{name: "no token", newCheck: checkNoToken, want: []string{"403 token_missing"}},
	{name: "the same token, 1,000 documents", setup: setup{documents: manyDocuments}, newCheck: checkSameToken, want: []string{"allow"}},
}

func checkSameToken(a *authorizer, _ int64) (*auth.CheckRequest, error) {
	valid, err := a.validToken()
	return checks.New(valid), err
}

func checkNoToken(a *authorizer, _ int64) (*auth.CheckRequest, error) { return newCheck(a, 1) }

// MeasureSizing measures an authorizer with the shipped limits.
func MeasureSizing(ctx context.Context, o SizingOptions) (s Sizing, err error) {
	s.Processors, s.LoadAtStart = runtime.NumCPU(), readLoad()
	if err := s.measureIdle(ctx, o); err != nil {
		return s, err
	}
	for _, k := range checkCosts {
		_, _ = fmt.Fprintln(o.Progress, "Checks:", k.name)
		cost, err := measureChecks(ctx, k, o)
		if err != nil {
			return s, fmt.Errorf("%s: %w", k.name, err)
		}
		s.Checks = append(s.Checks, cost)
	}
	if s.Documents, err = measureDocuments(ctx, o.Progress); err != nil {
		return s, err
	}
	if s.Tokens, err = measureTokens(ctx, o); err != nil {
		return s, err
	}
	s.Reloads, err = measureReloads(ctx, o)
	s.LoadAtEnd = readLoad()
	return s, err
}

// readLoad is empty where /proc has none.
func readLoad() string {
	data, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(data))[:3], " ")
}

// withAuthorizer runs do with a new authorizer, whose figures are those after its first Check.
func withAuthorizer(ctx context.Context, s setup, do func(a *authorizer, idle Figures) error) error {
	s.patient = true
	a, err := startAuthorizer(ctx, s)
	if err != nil {
		return err
	}
	err = a.warmUp(ctx)
	var idle Figures
	if err == nil {
		idle, err = a.measureLive(ctx)
	}
	if err == nil {
		err = do(a, idle)
	}
	return errors.Join(err, a.close())
}

func (s *Sizing) measureIdle(ctx context.Context, o SizingOptions) error {
	return withAuthorizer(ctx, setup{}, func(a *authorizer, idle Figures) error {
		_, _ = fmt.Fprintln(o.Progress, "no Checks")
		s.Idle = idle
		began := time.Now()
		if !pace.Until(ctx, began.Add(o.Duration)) {
			return ctx.Err()
		}
		after, err := a.measure(ctx)
		s.IdleCPU = (after.CPU - idle.CPU) / time.Since(began).Seconds()
		return err
	})
}

func measureChecks(ctx context.Context, k kind, o SizingOptions) (cost CheckCost, err error) {
	err = withAuthorizer(ctx, k.setup, func(a *authorizer, idle Figures) error {
		f := newFlood(a, k, Options{Rate: o.Rate, Senders: defaultSenders})
		during, stop := context.WithTimeout(ctx, o.Duration)
		defer stop()
		began := time.Now()
		if err := k.flood(during, f); err != nil {
			return err
		}
		took := time.Since(began).Seconds()
		after, err := a.measure(ctx)
		sent := f.next.Load()
		cost = CheckCost{Name: k.name, Sent: sent, Rate: float64(sent) / took, CPU: (after.CPU - idle.CPU) / float64(sent) * 1000, Resident: a.peak}
		return errors.Join(err, requireOutcome(f, k.want[0]))
	})
	return cost, err
}

// requireOutcome wants all Checks to have one outcome: others cost something else.
func requireOutcome(f *flood, want string) error {
	outcomes := f.tally.outcomes()
	if sent := f.next.Load(); sent == 0 || int64(outcomes[want]) != sent {
		return fmt.Errorf("%d Checks were answered with %v, want %s", sent, outcomes, want)
	}
	return nil
}

func measureDocuments(ctx context.Context, progress io.Writer) (cost DocumentsCost, err error) {
	var few, many Figures
	for _, one := range []struct {
		documents int
		figures   *Figures
	}{{0, &few}, {manyDocuments, &many}} {
		_, _ = fmt.Fprintln(progress, "documents:", one.documents+1)
		err = errors.Join(err, withAuthorizer(ctx, setup{documents: one.documents}, func(_ *authorizer, idle Figures) error {
			*one.figures = idle
			return nil
		}))
	}
	return DocumentsCost{Live: many.Live - few.Live, Resident: many.Resident - few.Resident, Start: many.CPU - few.CPU}, err
}

func measureTokens(ctx context.Context, o SizingOptions) (cost TokensCost, err error) {
	_, _ = fmt.Fprintln(o.Progress, "cached tokens:", o.Tokens)
	err = withAuthorizer(ctx, setup{}, func(a *authorizer, idle Figures) error {
		during, stop := context.WithCancel(ctx)
		defer stop()
		f := newFlood(a, kind{newCheck: func(a *authorizer, n int64) (*auth.CheckRequest, error) {
			if n >= o.Tokens {
				stop()
			}
			return checkNewToken(a, n)
		}}, Options{Senders: defaultSenders})
		if err := f.sendChecks(during); err != nil {
			return err
		}
		after, err := a.measureLive(ctx)
		sample, mintErr := a.newToken(unique(0), nil)
		cost = TokensCost{Sent: f.next.Load(), TokenSize: len(sample)}
		cost.Live, cost.Resident = (after.Live-idle.Live)*10_000/cost.Sent, (after.Resident-idle.Resident)*10_000/cost.Sent
		return errors.Join(err, mintErr, ctx.Err(), requireOutcome(f, "allow"))
	})
	return cost, err
}

// Print writes the figures as a table.
func (s Sizing) Print(to io.Writer) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "processors %d; load of the machine before: %s, after: %s\n", s.Processors, s.LoadAtStart, s.LoadAtEnd)
	_, _ = fmt.Fprintf(table, "no Checks\t%.4f s of CPU a second\t%s resident, %s live\n", s.IdleCPU, mib(s.Idle.Resident), mib(s.Idle.Live))
	for _, c := range s.Checks {
		_, _ = fmt.Fprintf(table, "1,000 Checks: %s\t%.3f s of CPU\t%s resident at most; %d Checks at %.0f a second\n", c.Name, c.CPU, mib(c.Resident), c.Sent, c.Rate)
	}
	_, _ = fmt.Fprintf(table, "1,000 documents more\t%.2f s of CPU at the start\t%s live, %s resident\n", s.Documents.Start, mib(s.Documents.Live), mib(s.Documents.Resident))
	_, _ = fmt.Fprintf(table, "10,000 cached tokens of %d bytes\t\t%s live, %s resident\n", s.Tokens.TokenSize, mib(s.Tokens.Live), mib(s.Tokens.Resident))
	for _, r := range s.Reloads {
		_, _ = fmt.Fprintf(table, "reloads, %d of %d documents change\tthe slowest of %d Checks %v, %d over %v\t%s resident at most, %.2f times the steady state\n",
			r.Changed, manyDocuments, r.Checks, r.Slowest.Round(100*time.Microsecond), r.Over, slowCheck, mib(r.Peak), float64(r.Peak)/float64(r.Steady))
	}
	return table.Flush()
}
