package flood

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Result is the outcome of one flood.
type Result struct {
	Kind          string         `json:"kind"`
	Seconds       float64        `json:"seconds"`
	Sent          int64          `json:"sent"` // Checks or connections
	Outcomes      map[string]int `json:"outcomes"`
	Container     string         `json:"container"`                      // what bounds the memory
	ContainerPeak int64          `json:"container_peak_bytes,omitempty"` // with the kernel's buffers; 0: not measured
	Idle          Figures        `json:"idle"`
	Highest       Figures        `json:"highest"`
	After         Figures        `json:"after"`
	Bounds        Bounds         `json:"bounds"`
	Wrong         []string       `json:"wrong"` // broken bounds; empty: the flood passed
}

// Bounds are what the figures may be.
type Bounds struct {
	Resident    int64 `json:"resident_bytes"` // at any time
	Series      int   `json:"series"`         // at any time
	Live        int64 `json:"live_bytes"`     // after the flood
	Goroutines  int   `json:"goroutines"`     // after the flood
	Descriptors int   `json:"descriptors"`    // after the flood
}

// More than the idle figure, after a flood.
const (
	liveMargin       = 6 << 20 // buffers and tables that keep the size that they have grown to
	goroutineMargin  = 4       // workers of gRPC and of the runtime, which come and go
	descriptorMargin = 2       // a file that is looked at just then
)

// bounds are completed by the idle figures.
func (k kind) boundsFrom(idle Figures, memory limitSum) Bounds {
	b := Bounds{
		Resident: min(idle.Resident+idle.Resident/10+memory.peers, containerMemory), Series: idle.Series + k.series,
		Live: idle.Live + liveMargin, Goroutines: idle.Goroutines + goroutineMargin, Descriptors: idle.Descriptors + descriptorMargin,
	}
	if k.caches {
		b.Live += cacheMemory
	}
	return b
}

// hasSettled reports whether everything that a flood left has ended.
func (b Bounds) hasSettled(f Figures) bool {
	return f.Live <= b.Live && f.Goroutines <= b.Goroutines && f.Descriptors <= b.Descriptors
}

// addProblems compares the figures with the bounds.
func (r *Result) addProblems(k kind) {
	r.Wrong = []string{}
	require := func(name string, got, most int64) {
		if got > most {
			r.Wrong = append(r.Wrong, fmt.Sprintf("%s: %d, at most %d", name, got, most))
		}
	}
	require("resident memory", r.Highest.Resident, r.Bounds.Resident)
	require("metric series", int64(r.Highest.Series), int64(r.Bounds.Series))
	require("live memory after the flood", r.After.Live, r.Bounds.Live)
	require("goroutines after the flood", int64(r.After.Goroutines), int64(r.Bounds.Goroutines))
	require("descriptors after the flood", int64(r.After.Descriptors), int64(r.Bounds.Descriptors))
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		if !slices.Contains(k.want, outcome) && isFailure(outcome) {
			r.Wrong = append(r.Wrong, fmt.Sprintf("%d times %s", r.Outcomes[outcome], outcome))
		}
	}
	for _, want := range k.want { // a flood that is not decided floods nothing
		if r.Outcomes[want] == 0 {
			r.Wrong = append(r.Wrong, fmt.Sprintf("never seen: %s", want))
		}
	}
}

// isFailure reports whether an outcome is wrong where it is not expected. A Check that is shed (503) is not.
func isFailure(outcome string) bool {
	return outcome == "allow" || strings.HasPrefix(outcome, noAnswer) || strings.HasSuffix(outcome, staysOpen) || strings.HasSuffix(outcome, accepted)
}

// Print writes the results as tables: figures, and then what was answered.
func Print(to io.Writer, results []Result) error {
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "FLOOD\tSECONDS\tSENT\tIDLE\tHIGHEST\tBOUND\tCGROUP\tLIVE IDLE\tAFTER\tGOROUTINES\tHIGHEST\tAFTER\tDESCRIPTORS\tHIGHEST\tAFTER\tSERIES\tHIGHEST\t")
	for _, r := range results {
		_, _ = fmt.Fprintf(table, "%s\t%.0f\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", r.Kind, r.Seconds, r.Sent,
			mib(r.Idle.Resident), mib(r.Highest.Resident), mib(r.Bounds.Resident), mib(r.ContainerPeak), mib(r.Idle.Live), mib(r.After.Live),
			r.Idle.Goroutines, r.Highest.Goroutines, r.After.Goroutines, r.Idle.Descriptors, r.Highest.Descriptors, r.After.Descriptors,
			r.Idle.Series, r.Highest.Series)
	}
	for _, r := range results {
		_, _ = fmt.Fprintf(table, "\n%s (%s)", r.Kind, r.Container)
		for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
			_, _ = fmt.Fprintf(table, "\n  %d\t%s", r.Outcomes[outcome], outcome)
		}
		for _, wrong := range r.Wrong {
			_, _ = fmt.Fprintf(table, "\n  WRONG: %s", wrong)
		}
	}
	_, _ = fmt.Fprintln(table)
	return table.Flush()
}
