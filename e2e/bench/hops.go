package bench

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/shared/identity"
	"github.com/meshpass/meshpass/shared/keyset"
)

// hopRig measures requests over sidecars. Each request has a token of its own.
type hopRig struct {
	mesh *hopMesh
	last map[hopKey]hopCost // two rows have one measurement
}

// hopKey names a measurement.
type hopKey struct {
	round, hops int
	variant     string
}

// hopCost is what a request costs.
type hopCost struct {
	envoy, authorizer float64       // processor time, in microseconds
	half              time.Duration // median of the time that it takes
}

var hopCounts = []int{1, 2, 5}

// hopSenders requests are under way together.
const hopSenders = 4

// newHopGroup compares ways to guard workloads, by the number of hops of a request: the processor time of sidecars and authorizers,
// and the time that a request takes. Its callers and the programs behind the sidecars are not counted.
func newHopGroup() Group {
	rig := &hopRig{last: map[hopKey]hopCost{}}
	g := Group{Name: "hops", Start: rig.start}
	for _, hops := range hopCounts {
		for _, v := range hopVariants {
			cpu, half := fmt.Sprintf("%s-%d", v.name, hops), fmt.Sprintf("%s-%d-p50", v.name, hops)
			row := Row{Name: cpu, Unit: cpuMicros, Measure: func(ctx context.Context, r Round) (float64, error) {
				cost, err := rig.measureOnce(ctx, r, v, hops)
				return cost.envoy + cost.authorizer, err
			}}
			latency := Row{Name: half, Unit: "µs", Measure: func(ctx context.Context, r Round) (float64, error) {
				cost, err := rig.measureOnce(ctx, r, v, hops)
				return float64(cost.half) / 1e3, err
			}}
			if v.name != hopVariants[0].name {
				row.Base = []string{fmt.Sprintf("%s-%d", hopVariants[0].name, hops)}
				latency.Base = []string{row.Base[0] + "-p50"}
			}
			g.Rows = append(g.Rows, row, latency)
			if v.name == "shared" { // for the model of docs/performance.md
				g.Rows = append(g.Rows, Row{Name: fmt.Sprintf("shared-authorizer-%d", hops), Unit: cpuMicros, Measure: func(ctx context.Context, r Round) (float64, error) {
					cost, err := rig.measureOnce(ctx, r, v, hops)
					return cost.authorizer, err
				}})
			}
		}
	}
	for _, headers := range []int{10, 30} {
		for _, v := range hopVariants {
			if v.name != "shared" && v.name != "filtered" {
				continue
			}
			row := Row{Name: fmt.Sprintf("%s-envoy-%d-headers", v.name, headers), Unit: cpuMicros, Measure: func(ctx context.Context, r Round) (float64, error) {
				cost, err := rig.measure(ctx, r, v, 1, headers)
				return cost.envoy, err
			}}
			if v.name == "filtered" {
				row.Base = []string{fmt.Sprintf("shared-envoy-%d-headers", headers)}
			}
			g.Rows = append(g.Rows, row)
		}
	}
	return g
}

func (h *hopRig) start(ctx context.Context, _ Round) (end func() error, err error) {
	if h.mesh, err = startHopMesh(ctx); err != nil {
		return nil, err
	}
	for _, v := range hopVariants { // connections are made, and denials noticed, before anything is measured
		if _, err := h.measure(ctx, Round{Length: time.Second / 4}, v, 5, 0); err != nil {
			return h.mesh.close, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return h.mesh.close, nil
}

// measureOnce measures in a round what two rows need.
func (h *hopRig) measureOnce(ctx context.Context, r Round, v hopVariant, hops int) (hopCost, error) {
	key := hopKey{r.Number, hops, v.name}
	if known, found := h.last[key]; found {
		return known, nil
	}
	cost, err := h.measure(ctx, r, v, hops, 0)
	h.last[key] = cost
	return cost, err
}

// measure sends requests for the time of a round. headers is how many a request has at least; 0: the few of the rig.
func (h *hopRig) measure(ctx context.Context, r Round, v hopVariant, hops, headers int) (cost hopCost, err error) {
	tokens, err := h.mintTokens(int(1500 * r.Length.Seconds()))
	if err != nil {
		return cost, err
	}
	before, err := h.readCPU(v)
	if err != nil {
		return cost, err
	}
	deadline := time.Now().Add(r.Length)
	var next atomic.Int64
	var mu sync.Mutex
	var took []time.Duration
	var failures []error
	var all sync.WaitGroup
	for range hopSenders {
		all.Go(func() {
			for time.Now().Before(deadline) {
				i := int(next.Add(1)) - 1
				if i >= len(tokens) {
					return
				}
				sent := time.Now()
				status, err := h.mesh.call(ctx, v.name, newHopHeader(v, tokens[i], hops, headers))
				mu.Lock()
				took = append(took, time.Since(sent))
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("a request was answered with %d", status)
				}
				if err != nil {
					failures = append(failures, err)
				}
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	after, err := h.readCPU(v)
	if err := errors.Join(append(failures, err)...); err != nil {
		return cost, err
	}
	count := float64(len(took))
	slices.Sort(took)
	return hopCost{envoy: (after.envoy - before.envoy) / count, authorizer: (after.authorizer - before.authorizer) / count, half: took[len(took)/2]}, nil
}

func newHopHeader(v hopVariant, token string, hops, headers int) http.Header {
	header := http.Header{identity.Header: {token}, hopsHeader: {strconv.Itoa(hops - 1)}, variantHeader: {v.name}}
	for i := 0; len(header) < headers; i++ {
		header.Set(fmt.Sprintf("X-Application-%02d", i), "a-value-of-some-length-like-others")
	}
	return header
}

func (h *hopRig) mintTokens(count int) ([]string, error) {
	tokens := make([]string, count)
	for i := range tokens {
		var err error
		if tokens[i], err = h.mesh.tokens.newToken(keyset.ES256); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// readCPU gives what a variant's sidecar and authorizer have used.
func (h *hopRig) readCPU(v hopVariant) (used hopCost, err error) {
	proxy, err := cpuTime(h.mesh.envoys[v.name].PID())
	if err != nil {
		return used, err
	}
	used.envoy = float64(proxy) / 1e3
	if v.asks == "" {
		return used, nil
	}
	authorizer, err := cpuTime(h.mesh.asked[v.asks].PID())
	used.authorizer = float64(authorizer) / 1e3
	return used, err
}
