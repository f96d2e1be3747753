package ops

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Issuer is what is known of a trusted issuer's key set. From Remote on, all is of
// sets at a URL.
type Issuer struct {
	Name           string
	Keys           int   // that may be used now
	Skipped        int   // of its set, whose kty is unknown
	Dropped        int   // of its set, that are not used because they are another issuer's
	Conflict       error // whose these are; nil: none is dropped
	Remote         bool
	Fetched, Until time.Time // the last success; when the keys may no longer be used
	Err            error     // why the last fetch came to nothing; nil: it did not
	Unreachable    uint64    // fetches that brought no document
	Refused        uint64    // fetches whose document is no set to use
}

// describe is a line of /readyz, so that `meshpass health` shows it too.
func (i Issuer) describe() string {
	text := i.describeSet()
	if i.Conflict != nil {
		text += "  " + strings.ReplaceAll(i.Conflict.Error(), "\n", "\n  ") + "\n"
	}
	return text
}

func (i Issuer) describeSet() string {
	keys := status.KeyCount(i.Keys, i.Skipped)
	if !i.Remote {
		return fmt.Sprintf("issuer %s: %s\n", i.Name, keys)
	}
	text := fmt.Sprintf("issuer %s: %s, fetched %s, good until %s", i.Name, keys, stamp(i.Fetched), stamp(i.Until))
	switch {
	case i.Fetched.IsZero():
		text = fmt.Sprintf("issuer %s: no keys, never fetched", i.Name)
	case i.Keys == 0:
		text = fmt.Sprintf("issuer %s: no keys that may be used, fetched %s, good until %s", i.Name, stamp(i.Fetched), stamp(i.Until))
	}
	if i.Err != nil {
		text += "; the last attempt failed:\n  " + strings.ReplaceAll(i.Err.Error(), "\n", "\n  ")
	}
	return text + "\n"
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// Issuers shows the key sets of all trusted issuers, read at each scrape.
func (m *Metrics) Issuers(now func() []Issuer) { m.registry.MustRegister(issuerCollector(now)) }

type issuerCollector func() []Issuer

var (
	usableKeys  = prometheus.NewDesc("meshpass_jwks_keys", "Keys of the issuer that may be used; 0: its tokens cannot be judged.", []string{"issuer"}, nil)
	droppedKeys = prometheus.NewDesc("meshpass_jwks_keys_dropped", "Keys in the issuer's set that are another issuer's and not used for it; 0: none.", []string{"issuer"}, nil)
	skippedKeys = prometheus.NewDesc("meshpass_jwks_keys_skipped", "Keys of the issuer's set whose kty is unknown here.", []string{"issuer"}, nil)
	lastFetched = prometheus.NewDesc("meshpass_jwks_last_success_timestamp_seconds", "When the key set was last fetched; 0: never.", []string{"issuer"}, nil)
	goodUntil   = prometheus.NewDesc("meshpass_jwks_expiry_timestamp_seconds", "When the keys may no longer be used, unless another fetch succeeds; 0: there are none.", []string{"issuer"}, nil)
	notFetched  = prometheus.NewDesc("meshpass_jwks_fetch_failures_total", "Fetches of the key set that failed.", []string{"issuer", "cause"}, nil)
)

func (c issuerCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{usableKeys, droppedKeys, skippedKeys, lastFetched, goodUntil, notFetched} {
		descs <- desc
	}
}

func (c issuerCollector) Collect(metrics chan<- prometheus.Metric) {
	show := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	for _, i := range c() {
		show(usableKeys, prometheus.GaugeValue, float64(i.Keys), i.Name)
		show(droppedKeys, prometheus.GaugeValue, float64(i.Dropped), i.Name)
		show(skippedKeys, prometheus.GaugeValue, float64(i.Skipped), i.Name)
		if !i.Remote {
			continue
		}
		fetched, until := 0.0, 0.0
		if !i.Fetched.IsZero() {
			fetched, until = seconds(i.Fetched), seconds(i.Until)
		}
		show(lastFetched, prometheus.GaugeValue, fetched, i.Name)
		show(goodUntil, prometheus.GaugeValue, until, i.Name)
		show(notFetched, prometheus.CounterValue, float64(i.Unreachable), i.Name, "unreachable")
		show(notFetched, prometheus.CounterValue, float64(i.Refused), i.Name, "refused")
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
