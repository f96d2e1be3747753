package ops

import (
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Limits are the use and the maximum of Checks, connections and watches.
type Limits struct {
	Checks, Bytes, Watches Used
	Descriptors            Used
	Listeners              []Connections
}

// Used is how much of a limit is in use.
type Used struct{ Now, Max int64 }

// List gives each limit a name for people.
func (l Limits) List() []status.Limit {
	all := []status.Limit{
		{Name: "checks in flight", Now: l.Checks.Now, Max: l.Checks.Max},
		{Name: "bytes in flight", Now: l.Bytes.Now, Max: l.Bytes.Max},
		{Name: "health watches", Now: l.Watches.Now, Max: l.Watches.Max},
		{Name: "file descriptors", Now: l.Descriptors.Now, Max: l.Descriptors.Max},
	}
	for _, listener := range l.Listeners {
		all = append(all, status.Limit{Name: "connections of " + listener.Listener, Now: listener.Now, Max: listener.Max})
	}
	return all
}

// describe returns a line for each limit, or only for those that are near.
func (l Limits) describe(all bool) (lines []string) {
	for _, limit := range l.List() {
		if all || limit.IsNear() {
			lines = append(lines, limit.String())
		}
	}
	for _, deadline := range l.Deadlines() {
		if all || deadline.IsShortened() {
			lines = append(lines, "deadline of "+deadline.String())
		}
	}
	return lines
}

// Deadlines are those of the Checks of each listener.
func (l Limits) Deadlines() (all []status.Deadline) {
	for _, listener := range l.Listeners {
		if listener.Deadline > 0 {
			all = append(all, status.Deadline{Listener: listener.Listener, Seconds: listener.Deadline.Seconds(), Envoy: listener.EnvoyTimeout.Seconds()})
		}
	}
	return all
}

// Connections of one listener.
type Connections struct {
	Listener string
	Used
	Refused map[string]uint64 // since the start, by cause

	Deadline     time.Duration // of a Check; 0: of ops, which gets no Checks
	EnvoyTimeout time.Duration // the shortest that Envoy waited for a Check; 0: no Check had a timeout
}

// ShowLimits shows the limits and their use, read at each scrape.
func (m *Metrics) ShowLimits(now func() Limits) { m.registry.MustRegister(limitsCollector(now)) }

type limitsCollector func() Limits

var (
	checksInFlight     = newDesc("meshpass_checks_in_flight", "Checks that are being received or decided.")
	checksLimit        = newDesc("meshpass_checks_in_flight_limit", "The setting limits.inFlight.")
	bytesInFlight      = newDesc("meshpass_check_bytes_in_flight", "Bytes of the Checks in flight, with what is reserved for them.")
	bytesLimit         = newDesc("meshpass_check_bytes_in_flight_limit", "The setting limits.inFlightBytes.")
	openWatches        = newDesc("meshpass_health_watches", "Open grpc.health.v1 watches.")
	watchesLimit       = newDesc("meshpass_health_watches_limit", "The setting limits.watches.")
	openConnections    = newDesc("meshpass_connections", "Open connections of peers that may ask.", "listener")
	connectionsLimit   = newDesc("meshpass_connections_limit", "The setting limits.connections.", "listener")
	refusedConnections = newDesc("meshpass_connections_refused_total", "Connections that were closed, by cause.", "listener", "cause")
)

func (c limitsCollector) Describe(descs chan<- *prometheus.Desc) {
	describeAll(descs, checksInFlight, checksLimit, bytesInFlight, bytesLimit, openWatches, watchesLimit, openConnections, connectionsLimit, refusedConnections)
}

func (c limitsCollector) Collect(metrics chan<- prometheus.Metric) {
	sendBoth := func(use, limit *prometheus.Desc, used Used, labels ...string) {
		sendGauge(metrics, use, float64(used.Now), labels...)
		sendGauge(metrics, limit, float64(used.Max), labels...)
	}
	now := c()
	sendBoth(checksInFlight, checksLimit, now.Checks)
	sendBoth(bytesInFlight, bytesLimit, now.Bytes)
	sendBoth(openWatches, watchesLimit, now.Watches)
	for _, listener := range now.Listeners {
		sendBoth(openConnections, connectionsLimit, listener.Used, listener.Listener)
		for _, cause := range slices.Sorted(maps.Keys(listener.Refused)) {
			sendCounter(metrics, refusedConnections, listener.Refused[cause], listener.Listener, cause)
		}
	}
}
