package flood

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/checks"
	"github.com/meshpass/meshpass/e2e/pace"
	"github.com/meshpass/meshpass/e2e/scrape"
)

// ReloadCost is what reloads of policies cost an authorizer that answers Checks: manyDocuments documents of
// rulesOfDocument rules, two of them with an expression of their own.
type ReloadCost struct {
	Changed int           `json:"changed_documents"` // by each reload; 0: no reload
	Steady  int64         `json:"steady_bytes"`      // resident, the highest during Checks without a reload
	Peak    int64         `json:"peak_bytes"`        // resident, the highest during the reloads
	Checks  int           `json:"checks"`            // answered during the reloads
	Slowest time.Duration `json:"slowest_check_nanoseconds"`
	Over    int           `json:"checks_over_50_ms"`
}

const (
	rulesOfDocument = 10
	reloadsOfRow    = 5
)

// slowCheck is the time that no reload may make a Check take.
const slowCheck = 50 * time.Millisecond

func measureReloads(ctx context.Context, o SizingOptions) (costs []ReloadCost, err error) {
	err = withAuthorizer(ctx, setup{}, func(a *authorizer, _ Figures) error {
		edition := 0
		// The first reload brings the documents. It is no row.
		if err := a.reloadDocuments(ctx, manyDocuments, edition); err != nil {
			return err
		}
		for _, changed := range []int{0, 1, 10, manyDocuments} {
			_, _ = fmt.Fprintf(o.Progress, "reloads: %d of %d documents change\n", changed, manyDocuments)
			cost, err := a.measureReload(ctx, o, changed, &edition)
			if err != nil {
				return fmt.Errorf("reload of %d documents: %w", changed, err)
			}
			if cost.Steady = cost.Peak; len(costs) > 0 {
				cost.Steady = costs[0].Peak
			}
			costs = append(costs, cost)
		}
		return nil
	})
	return costs, err
}

func (a *authorizer) measureReload(ctx context.Context, o SizingOptions, changed int, edition *int) (ReloadCost, error) {
	cost := ReloadCost{Changed: changed}
	if _, err := a.measureLive(ctx); err != nil {
		return cost, err
	}
	err := a.process.ResetPeak()
	if err != nil {
		return cost, err
	}
	during, stop := context.WithCancel(ctx)
	var sender sync.WaitGroup
	var sendErr error
	sender.Go(func() { sendErr = a.timeChecks(during, o.Rate, &cost) })
	for range reloadsOfRow {
		if changed == 0 {
			pace.For(ctx, o.Duration/reloadsOfRow)
			continue
		}
		*edition++
		if err = a.reloadDocuments(ctx, changed, *edition); err != nil {
			break
		}
	}
	stop()
	sender.Wait()
	memory, memoryErr := a.process.Memory()
	cost.Peak = memory.Peak
	return cost, errors.Join(err, sendErr, memoryErr, ctx.Err())
}

// timeChecks sends Checks with one token, one after another, until ctx ends. All must be allowed.
func (a *authorizer) timeChecks(ctx context.Context, rate float64, cost *ReloadCost) error {
	conn, err := a.connect()
	if err != nil {
		return err
	}
	turns := pace.New(rate)
	for turns.Wait(ctx) {
		valid, err := a.validToken()
		if err != nil {
			return errors.Join(err, conn.Close())
		}
		check := checks.New(valid)
		began := time.Now()
		if got := ask(context.WithoutCancel(ctx), conn, check); got != "allow" {
			return errors.Join(fmt.Errorf("a Check got %s", got), conn.Close())
		}
		took := time.Since(began)
		cost.Checks++
		cost.Slowest = max(cost.Slowest, took)
		if took > slowCheck {
			cost.Over++
		}
	}
	return conn.Close()
}

// reloadDocuments writes the first n documents of an edition, and waits until their generation is active.
func (a *authorizer) reloadDocuments(ctx context.Context, n, edition int) error {
	before, err := a.readGeneration(ctx)
	if err != nil {
		return err
	}
	next := filepath.Join(a.dir, "next.yaml")
	for i := range n {
		if err := os.WriteFile(next, ruledDocument(i, edition), 0o600); err != nil {
			return err
		}
		if err := os.Rename(next, filepath.Join(a.dir, "policies", fmt.Sprintf("many-%d.yaml", i))); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(2 * time.Minute)
	for last := before; ; {
		if !pace.For(ctx, time.Second) {
			return ctx.Err()
		}
		now, err := a.readGeneration(ctx)
		if err != nil {
			return err
		}
		// Files that were written while the folder was read make one more generation.
		if now != before && now == last {
			return nil
		}
		if last = now; time.Now().After(deadline) {
			return errors.New("the documents are not active after two minutes")
		}
	}
}

func ruledDocument(number, edition int) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: meshpass.dev/v1\nkind: AccessPolicy\nmetadata: {name: many-%d}\nspec:\n  targets: {workloads: [ns/shop/sa/many-%d]}\n  rules:\n", number, number)
	for rule := range rulesOfDocument {
		fmt.Fprintf(&b, "    - {name: rule-%d, effect: allow, to: {methods: [GET], paths: [\"/v%d/x%d/{id}\"]}", rule, number, rule)
		if rule < 2 {
			fmt.Fprintf(&b, ", when: claims.tctx.tenant == path.id && path.id != \"%d-%d-%d\"", number, rule, edition)
		}
		b.WriteString("}\n")
	}
	return []byte(b.String())
}

// readGeneration returns the generation of the active policies.
func (a *authorizer) readGeneration(ctx context.Context) (string, error) {
	series, err := scrape.Read(ctx, a.watcher, a.ops)
	if err != nil {
		return "", err
	}
	for name := range series {
		if generation, found := strings.CutPrefix(name, `meshpass_policies_info{generation="`); found {
			return strings.TrimSuffix(generation, `"}`), nil
		}
	}
	return "", errors.New("no metric has the generation of the policies")
}
