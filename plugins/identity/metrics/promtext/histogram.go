package promtext

import (
	"sync/atomic"
	"time"
)

// Histogram counts durations. Make it with [NewHistogram]; it may be used from
// many goroutines.
type Histogram struct {
	bounds []time.Duration // upper, ascending
	counts []atomic.Uint64 // one for each bound, and one for longer durations
	sum    atomic.Int64    // nanoseconds
}

// NewHistogram counts by these upper bounds, which ascend.
func NewHistogram(bounds ...time.Duration) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]atomic.Uint64, len(bounds)+1)}
}

// Observe counts one duration.
func (h *Histogram) Observe(took time.Duration) {
	i := 0
	for i < len(h.bounds) && took > h.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(took))
}

// Histograms begins a metric of histograms; the next histograms belong to it.
func (t *Text) Histograms(name, help string) { t.Family(name, histogram, help) }

// Histogram writes one histogram in seconds; each bucket includes those below it. The last bucket is also
// written as the count, so that the two agree while other goroutines observe.
func (t *Text) Histogram(h *Histogram, labels ...string) {
	var total uint64
	for i := range h.counts {
		total += h.counts[i].Load()
		bound := "+Inf"
		if i < len(h.bounds) {
			bound = formatNumber(h.bounds[i].Seconds())
		}
		t.writeSample("_bucket", float64(total), append(labels[:len(labels):len(labels)], "le", bound))
	}
	t.writeSample("_sum", time.Duration(h.sum.Load()).Seconds(), labels)
	t.writeSample("_count", float64(total), labels)
}
