package ops

import (
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Issuer describes a trusted issuer's key set. The fields from Remote on are for sets at a URL.
type Issuer struct {
	Name           string
	Keys           int      // that may be used now
	KeyIDs         []string // of these, sorted
	Skipped        int      // keys of its set whose kty is unknown
	Dropped        int      // keys of its set that are not used, because they are another issuer's
	Conflict       error    // names the owners of these; nil: no key is dropped
	Remote         bool
	Fetched, Until time.Time // the last success; when the keys may no longer be used
	Err            error     // why the last fetch failed; nil: it did not
	Unreachable    uint64    // fetches that got no document
	Refused        uint64    // fetches whose document was rejected
}

// describe returns a line of /readyz, so that `meshpass health` shows it too.
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
	text := fmt.Sprintf("issuer %s: %s, fetched %s, good until %s", i.Name, keys, formatTime(i.Fetched), formatTime(i.Until))
	switch {
	case i.Fetched.IsZero():
		text = fmt.Sprintf("issuer %s: no keys, never fetched", i.Name)
	case i.Keys == 0:
		text = fmt.Sprintf("issuer %s: no keys that may be used, fetched %s, good until %s", i.Name, formatTime(i.Fetched), formatTime(i.Until))
	}
	if i.Err != nil {
		text += "; the last attempt failed:\n  " + strings.ReplaceAll(i.Err.Error(), "\n", "\n  ")
	}
	return text + "\n"
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ShowIssuers shows the key sets of all trusted issuers, read at each scrape.
func (m *Metrics) ShowIssuers(now func() []Issuer) { m.registry.MustRegister(issuerCollector(now)) }

type issuerCollector func() []Issuer

var (
	usableKeys    = newDesc("meshpass_jwks_keys", "Keys of the issuer that may be used; 0: its tokens cannot be verified.", "issuer")
	droppedKeys   = newDesc("meshpass_jwks_keys_dropped", "Keys in the issuer's set that are another issuer's and not used for it; 0: none.", "issuer")
	skippedKeys   = newDesc("meshpass_jwks_keys_skipped", "Keys of the issuer's set whose kty is unknown.", "issuer")
	lastFetched   = newDesc("meshpass_jwks_last_success_timestamp_seconds", "When the key set was last fetched; 0: never.", "issuer")
	goodUntil     = newDesc("meshpass_jwks_expiry_timestamp_seconds", "When the keys may no longer be used, unless another fetch succeeds; 0: there are none.", "issuer")
	fetchFailures = newDesc("meshpass_jwks_fetch_failures_total", "Fetches of the key set that failed.", "issuer", "cause")
)

func (c issuerCollector) Describe(descs chan<- *prometheus.Desc) {
	describeAll(descs, usableKeys, droppedKeys, skippedKeys, lastFetched, goodUntil, fetchFailures)
}

func (c issuerCollector) Collect(metrics chan<- prometheus.Metric) {
	for _, i := range c() {
		sendGauge(metrics, usableKeys, float64(i.Keys), i.Name)
		sendGauge(metrics, droppedKeys, float64(i.Dropped), i.Name)
		sendGauge(metrics, skippedKeys, float64(i.Skipped), i.Name)
		if !i.Remote {
			continue
		}
		fetched, until := 0.0, 0.0
		if !i.Fetched.IsZero() {
			fetched, until = unixSeconds(i.Fetched), unixSeconds(i.Until)
		}
		sendGauge(metrics, lastFetched, fetched, i.Name)
		sendGauge(metrics, goodUntil, until, i.Name)
		sendCounter(metrics, fetchFailures, i.Unreachable, i.Name, "unreachable")
		sendCounter(metrics, fetchFailures, i.Refused, i.Name, "refused")
	}
}
