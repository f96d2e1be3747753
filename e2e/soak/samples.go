package soak

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/pace"
	"github.com/meshpass/meshpass/e2e/scrape"
	"github.com/meshpass/meshpass/internal/process"
)

// Sample is what a process took at one time.
type Sample struct {
	Seconds     float64 `json:"seconds"` // since the load began
	PID         int     `json:"pid"`
	Resident    int64   `json:"resident_bytes"`
	Descriptors int     `json:"descriptors"`
	Goroutines  int     `json:"goroutines,omitempty"` // of programs that show them
}

// sampler reads, each second, what the processes of the mesh take.
type sampler struct {
	mesh    *localmesh.Mesh
	began   time.Time
	metrics map[string]string // addresses of programs that show their goroutines

	mu  sync.Mutex
	all map[string][]Sample // by the name of the process
}

func (s *sampler) sampleUntilDone(ctx context.Context) error {
	return pace.EverySecond(ctx, func(ctx context.Context) error { s.sampleOnce(ctx); return nil })
}

// sampleOnce leaves out processes that are down.
func (s *sampler) sampleOnce(ctx context.Context) {
	for name, p := range s.mesh.Processes() {
		one, err := s.readSample(ctx, name, p)
		if err != nil {
			continue
		}
		s.mu.Lock()
		s.all[name] = append(s.all[name], one)
		s.mu.Unlock()
	}
}

func (s *sampler) readSample(ctx context.Context, name string, p *process.Proc) (Sample, error) {
	one := Sample{Seconds: time.Since(s.began).Seconds(), PID: p.PID()}
	memory, err := p.Memory()
	if err != nil {
		return one, err
	}
	one.Resident = memory.Resident
	if one.Descriptors, err = p.Descriptors(); err != nil {
		return one, err
	}
	if address := s.metrics[name]; address != "" {
		one.Goroutines, err = readGoroutines(ctx, address)
	}
	return one, err
}

func (s *sampler) samples() map[string][]Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	copied := map[string][]Sample{}
	for name, all := range s.all {
		copied[name] = slices.Clone(all)
	}
	return copied
}

func readGoroutines(ctx context.Context, address string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	series, err := scrape.Read(ctx, http.DefaultClient, address)
	if err != nil {
		return 0, err
	}
	value, found := series["go_goroutines"]
	if !found {
		return 0, fmt.Errorf("%s: no go_goroutines", address)
	}
	return strconv.Atoi(value)
}

// Growth is how much a process took at the start and at the end of its longest life. The lowest values of the first and of the last
// third after the warm-up are compared: garbage and requests that are under way come and go, and a leak stays.
type Growth struct {
	Process string  `json:"process"`
	What    string  `json:"what"`
	First   float64 `json:"first"`
	Last    float64 `json:"last"`
	Most    float64 `json:"most"` // that Last may be
}

// Bounds of growth between the two thirds.
const (
	memoryGrowth, memorySlack         = 1.15, 24 << 20
	countGrowth, countSlack           = 1.10, 40
	warmUpShare                       = 0.3 // of the life: caches fill
	leastSamples                      = 18  // of a life that is compared
	residentName, fdName, routineName = "resident memory", "descriptors", "goroutines"
)

// findGrowths compares thirds of the longest life of each process. A process that lived too short has none.
func findGrowths(samples map[string][]Sample) (all []Growth) {
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		life := findLongestLife(samples[name])
		life = life[int(warmUpShare*float64(len(life))):]
		if len(life) < leastSamples {
			continue
		}
		third := len(life) / 3
		first, last := life[:third], life[len(life)-third:]
		for _, row := range []struct {
			what          string
			value         func(Sample) float64
			growth, slack float64
		}{
			{residentName, func(s Sample) float64 { return float64(s.Resident) }, memoryGrowth, memorySlack},
			{fdName, func(s Sample) float64 { return float64(s.Descriptors) }, countGrowth, countSlack},
			{routineName, func(s Sample) float64 { return float64(s.Goroutines) }, countGrowth, countSlack},
		} {
			g := Growth{Process: name, What: row.what, First: findLowest(first, row.value), Last: findLowest(last, row.value)}
			g.Most = g.First*row.growth + row.slack
			if g.First > 0 {
				all = append(all, g)
			}
		}
	}
	return all
}

// isFlat reports whether the growth is within its bound.
func (g Growth) isFlat() bool { return g.Last <= g.Most }

func (g Growth) String() string {
	if g.What == residentName {
		return fmt.Sprintf("%s of %s: %.1f MiB, then %.1f MiB; at most %.1f MiB", g.What, g.Process, g.First/(1<<20), g.Last/(1<<20), g.Most/(1<<20))
	}
	return fmt.Sprintf("%s of %s: %.0f, then %.0f; at most %.0f", g.What, g.Process, g.First, g.Last, g.Most)
}

// findLongestLife returns the samples of the process id with the most of them.
func findLongestLife(all []Sample) []Sample {
	lives := map[int][]Sample{}
	var longest []Sample
	for _, s := range all {
		lives[s.PID] = append(lives[s.PID], s)
		if len(lives[s.PID]) > len(longest) {
			longest = lives[s.PID]
		}
	}
	return longest
}

func findLowest(samples []Sample, value func(Sample) float64) float64 {
	lowest := value(samples[0])
	for _, s := range samples[1:] {
		lowest = min(lowest, value(s))
	}
	return lowest
}
