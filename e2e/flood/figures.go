package flood

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/meshpass/meshpass/e2e/pace"

	"github.com/meshpass/meshpass/e2e/scrape"
)

// Figures are what an authorizer takes at one time.
type Figures struct {
	Resident    int64   `json:"resident_bytes"`
	Live        int64   `json:"live_bytes,omitempty"` // of the heap after a garbage collection; 0: not measured
	Goroutines  int     `json:"goroutines"`
	Descriptors int     `json:"descriptors"`
	Series      int     `json:"series"`
	CPU         float64 `json:"cpu_seconds"` // since the start
}

func (f Figures) String() string {
	return fmt.Sprintf("%s, %d goroutines, %d descriptors, %d series", mib(f.Resident), f.Goroutines, f.Descriptors, f.Series)
}

// highest returns the higher of each figure.
func (f Figures) highest(g Figures) Figures {
	return Figures{
		Resident: max(f.Resident, g.Resident), Goroutines: max(f.Goroutines, g.Goroutines),
		Descriptors: max(f.Descriptors, g.Descriptors), Series: max(f.Series, g.Series), CPU: max(f.CPU, g.CPU),
	}
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20)) }

// measure reads the metrics, and /proc for the memory. Its highest value is the kernel's own.
func (a *authorizer) measure(ctx context.Context) (Figures, error) {
	f, err := a.readMetrics(ctx)
	if err != nil {
		return f, err
	}
	memory, err := a.process.Memory()
	f.Resident = memory.Resident
	a.peak = max(a.peak, memory.Peak)
	return f, err
}

func (a *authorizer) readMetrics(ctx context.Context) (f Figures, err error) {
	series, err := scrape.Read(ctx, a.watcher, a.ops)
	samples := map[string]float64{}
	for name, value := range series {
		samples[name], _ = strconv.ParseFloat(value, 64) // values with more than a number are not read here
	}
	f.Series = len(series)
	f.Goroutines, f.Descriptors = int(samples["go_goroutines"]), int(samples["process_open_fds"])
	f.Live, f.CPU = int64(samples["go_memstats_heap_alloc_bytes"]), samples["process_cpu_seconds_total"]
	return f, err
}

func (a *authorizer) get(ctx context.Context, client *http.Client, url string) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		_ = response.Body.Close() // not read
		return nil, fmt.Errorf("%s: %s", url, response.Status)
	}
	return response, nil
}

// measureLive collects garbage before it measures: twice, because a pool's values survive once.
func (a *authorizer) measureLive(ctx context.Context) (Figures, error) {
	for range 2 {
		response, err := a.get(ctx, a.profiler, "http://"+a.debug+"/debug/pprof/heap?gc=1")
		if err != nil {
			return Figures{}, err
		}
		_ = response.Body.Close() // the garbage is collected, the profile is not read
	}
	return a.measure(ctx)
}

// settleTime is more than a handshake or an idle stream may last.
const settleTime = 30 * time.Second

// awaitSettled measures until everything that the flood left has ended, or for settleTime.
func (a *authorizer) awaitSettled(ctx context.Context, bounds Bounds) (Figures, error) {
	deadline := time.Now().Add(settleTime)
	for {
		f, err := a.measureLive(ctx)
		if err != nil || bounds.hasSettled(f) || time.Now().After(deadline) {
			return f, err
		}
		if !pace.For(ctx, 200*time.Millisecond) {
			return f, ctx.Err()
		}
	}
}
