package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/tracing"
)

// ShowSpans shows what became of the spans, read at each scrape.
func (m *Metrics) ShowSpans(now func() tracing.Stats) { m.registry.MustRegister(spanCollector(now)) }

type spanCollector func() tracing.Stats

var spans = prometheus.NewDesc("meshpass_trace_spans_total", "Spans of sampled Checks: exported, failed (the collector is away or rejects them), dropped (the queue is full).", []string{"outcome"}, nil)

func (c spanCollector) Describe(descs chan<- *prometheus.Desc) { descs <- spans }

func (c spanCollector) Collect(metrics chan<- prometheus.Metric) {
	s := c()
	for _, one := range []struct {
		outcome string
		count   uint64
	}{{outcome: "exported", count: s.Exported}, {outcome: "failed", count: s.Failed}, {outcome: "dropped", count: s.Dropped}} {
		metrics <- prometheus.MustNewConstMetric(spans, prometheus.CounterValue, float64(one.count), one.outcome)
	}
}
