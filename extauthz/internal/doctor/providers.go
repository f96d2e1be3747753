package doctor

import (
	"fmt"
	"slices"
	"strconv"
)

// clusterStatus is a ClusterStatus of envoy.admin.v3.
type clusterStatus struct {
	Name         string
	HostStatuses []hostStatus `json:"host_statuses"`
}

type hostStatus struct {
	Stats []struct {
		Name  string
		Value string // absent: 0
	}
	HealthStatus struct {
		EDS string `json:"eds_health_status"`
	} `json:"health_status"`
}

// connections are the counters of an Envoy's connections to all replicas, since its start.
type connections struct {
	hosts, unhealthy                    int
	open, failed, asked, faulty, useful uint64
}

func (c clusterStatus) countConnections() connections {
	all := connections{hosts: len(c.HostStatuses)}
	for _, h := range c.HostStatuses {
		if h.HealthStatus.EDS != "HEALTHY" {
			all.unhealthy++
		}
		for _, s := range h.Stats {
			value, _ := strconv.ParseUint(s.Value, 10, 64) // empty: 0
			switch s.Name {
			case "cx_active":
				all.open += value
			case "cx_connect_fail":
				all.failed += value
			case "rq_total":
				all.asked += value
			case "rq_error":
				all.faulty += value
			case "rq_success":
				all.useful += value
			}
		}
	}
	return all
}

// checkProviders checks by the counters of each Envoy whether it reaches the authorizer. It sends no request, so an Envoy
// that has no connection, and had no failure, is not checked.
func checkProviders(seen *observations, provider Provider) (lines []Line) {
	if len(seen.envoys) == 0 {
		return seen.describeMissing(providerCheck, "no address of a guarded workload's Envoy", "give --envoy URL with its admin interface")
	}
	for _, e := range seen.envoys {
		asked := e.askedFilters(provider)
		if e.fault != nil || len(asked) == 0 {
			continue // the line of envoy describes it
		}
		at := slices.IndexFunc(e.clusters, func(c clusterStatus) bool { return c.Name == asked[0].cluster() })
		if at >= 0 {
			lines = append(lines, e.checkConnections(e.clusters[at].countConnections()))
		}
	}
	return lines
}

func (e envoyAnswers) checkConnections(c connections) Line {
	line := func(result Result, detail, do string) Line {
		return Line{providerCheck, e.Admin.String(), result, detail, do}
	}
	const network = "check the authorizer's endpoints, NetworkPolicies and mutual TLS (docs/operations.md#alert-envoy-cannot-ask)"
	switch {
	case c.hosts == 0:
		return line(Wrong, "the authorizer's Service has no endpoint", "look at the authorizer's pods: none is ready, or the Service selects none")
	case c.unhealthy == c.hosts:
		return line(Wrong, "no endpoint of the authorizer's Service is healthy", "look at the authorizer's pods: none is ready")
	case c.open == 0 && c.failed > 0:
		return line(Wrong, fmt.Sprintf("no connection to the authorizer, failed attempts: %d", c.failed), network)
	case c.open == 0:
		return line(NotChecked, "no connection to the authorizer, and no failed attempt: Envoy connects when it has something to ask", "send one request to the workload, and run doctor again")
	case c.asked > 0 && c.useful == 0:
		return line(Wrong, fmt.Sprintf("connected, but none of %d questions was answered", c.asked), "the log of the authorizer, and tls.clients of its configuration (docs/operations.md#alert-tls-refused)")
	default:
		return line(OK, fmt.Sprintf("connected, endpoints: %d, questions without an answer: %d of %d", c.hosts, c.faulty, c.asked), "")
	}
}
