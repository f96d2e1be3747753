package ops

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Limits is what Checks, connections and watches use now of what they may use.
type Limits struct {
	Checks, Bytes, Watches Used
	Listeners              []Connections
}

// Used is how much of a limit is in use.
type Used struct{ Now, Max int64 }

// near reports that four fifths of a limit are in use.
func (u Used) near() bool { return u.Now*5 >= u.Max*4 }

func (u Used) of(what string) string {
	line := fmt.Sprintf("%s: %d of %d", what, u.Now, u.Max)
	if u.near() {
		line += ", near its limit"
	}
	return line
}

// lines describe each limit, or only those that are near.
func (l Limits) lines(all bool) (lines []string) {
	add := func(what string, used Used) {
		if all || used.near() {
			lines = append(lines, used.of(what))
		}
	}
	add("checks in flight", l.Checks)
	add("bytes in flight", l.Bytes)
	add("health watches", l.Watches)
	for _, listener := range l.Listeners {
		add("connections of "+listener.Listener, listener.Used)
	}
	return lines
}

// Connections of one listener.
type Connections struct {
	Listener string
	Used
	Refused map[string]uint64 // since the start, by cause
}

// Limits shows them, read at each scrape.
func (m *Metrics) Limits(now func() Limits) { m.registry.MustRegister(limitsCollector(now)) }

type limitsCollector func() Limits

var (
	checksInFlight     = prometheus.NewDesc("meshpass_checks_in_flight", "Checks that are received or decided.", nil, nil)
	checksLimit        = prometheus.NewDesc("meshpass_checks_in_flight_limit", "limits.inFlight.", nil, nil)
	bytesInFlight      = prometheus.NewDesc("meshpass_check_bytes_in_flight", "Bytes of the Checks in flight, with what is reserved for them.", nil, nil)
	bytesLimit         = prometheus.NewDesc("meshpass_check_bytes_in_flight_limit", "limits.inFlightBytes.", nil, nil)
	openWatches        = prometheus.NewDesc("meshpass_health_watches", "Open grpc.health.v1 watches.", nil, nil)
	watchesLimit       = prometheus.NewDesc("meshpass_health_watches_limit", "limits.watches.", nil, nil)
	openConnections    = prometheus.NewDesc("meshpass_connections", "Open connections of peers that may ask.", []string{"listener"}, nil)
	connectionsLimit   = prometheus.NewDesc("meshpass_connections_limit", "limits.connections.", []string{"listener"}, nil)
	refusedConnections = prometheus.NewDesc("meshpass_connections_refused_total", "Connections that were closed, by cause.", []string{"listener", "cause"}, nil)
)

func (c limitsCollector) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{checksInFlight, checksLimit, bytesInFlight, bytesLimit, openWatches, watchesLimit, openConnections, connectionsLimit, refusedConnections} {
		descs <- desc
	}
}

func (c limitsCollector) Collect(metrics chan<- prometheus.Metric) {
	show := func(now, limit *prometheus.Desc, used Used, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(now, prometheus.GaugeValue, float64(used.Now), labels...)
		metrics <- prometheus.MustNewConstMetric(limit, prometheus.GaugeValue, float64(used.Max), labels...)
	}
	now := c()
	show(checksInFlight, checksLimit, now.Checks)
	show(bytesInFlight, bytesLimit, now.Bytes)
	show(openWatches, watchesLimit, now.Watches)
	for _, listener := range now.Listeners {
		show(openConnections, connectionsLimit, listener.Used, listener.Listener)
		for _, cause := range slices.Sorted(maps.Keys(listener.Refused)) {
			metrics <- prometheus.MustNewConstMetric(refusedConnections, prometheus.CounterValue, float64(listener.Refused[cause]), listener.Listener, cause)
		}
	}
}
