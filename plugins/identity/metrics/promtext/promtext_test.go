package promtext_test

import (
	"sync"
	"testing"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/metrics/promtext"
)

func TestText(t *testing.T) {
	var text promtext.Text
	text.Family("a_total", promtext.Counter, "Back\\slash,\nline and \"quote\".")
	text.Sample(0)
	text.Sample(1e21, "path", "a\\b\"c\nd", "empty", "")
	text.Family("b", promtext.Gauge, "B.")
	text.Flag(true)
	text.Flag(false, "of", "ü")
	text.Time(time.UnixMilli(1780315200250))
	text.Sample(-0.25)
	want := `# HELP a_total Back\\slash,\nline and "quote".
# TYPE a_total counter
a_total 0
a_total{path="a\\b\"c\nd",empty=""} 1e+21
# HELP b B.
# TYPE b gauge
b 1
b{of="ü"} 0
b 1.78031520025e+09
b -0.25
`
	if got := string(text.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestHistogram(t *testing.T) {
	h := promtext.NewHistogram(time.Millisecond, 10*time.Millisecond)
	var done sync.WaitGroup
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 10 * time.Millisecond, time.Second} {
		done.Add(1)
		go func() { defer done.Done(); h.Observe(took) }()
	}
	done.Wait()
	var text promtext.Text
	text.Histograms("d_seconds", "D.")
	text.Histogram(h, "hook", "x")
	want := `# HELP d_seconds D.
# TYPE d_seconds histogram
d_seconds_bucket{hook="x",le="0.001"} 2
d_seconds_bucket{hook="x",le="0.01"} 4
d_seconds_bucket{hook="x",le="+Inf"} 5
d_seconds_sum{hook="x"} 1.012000001
d_seconds_count{hook="x"} 5
`
	if got := string(text.Bytes()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
