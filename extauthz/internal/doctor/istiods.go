package doctor

import (
	"context"
	"fmt"
	"time"
)

// istiodAnswer is the synchronization status of one control plane.
type istiodAnswer struct {
	answer
	proxies []proxySync
	fault   error
}

// proxySync is an entry of Istio's /debug/syncz.
type proxySync struct {
	Proxy         string // POD.NAMESPACE
	ClusterSent   string `json:"cluster_sent"`
	ClusterAcked  string `json:"cluster_acked"`
	ListenerSent  string `json:"listener_sent"`
	ListenerAcked string `json:"listener_acked"`
	Resources     map[string]struct {
		LastError string
	}
}

const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener"

func askIstiod(ctx context.Context, at Address, timeout time.Duration) istiodAnswer {
	a := istiodAnswer{answer: get(ctx, at, "/debug/syncz", timeout)}
	a.fault = a.decode(&a.proxies)
	return a
}

// checkIstiods checks that guarded Envoys have acknowledged what istiod pushed.
func checkIstiods(seen *observations) (lines []Line) {
	if len(seen.istiods) == 0 {
		return seen.describeMissing(istiodCheck, "no address of istiod", "give --istiod URL with its debug interface")
	}
	known := map[string]proxySync{}
	complete := true
	for _, a := range seen.istiods {
		if a.fault != nil {
			complete = false
			lines = append(lines, newFailedLine(istiodCheck, a.from, a.fault, "which Envoys have what it pushed", "look at istiod's pod and its log: Envoys keep their configuration, and changes do not reach them"))
		}
		for _, p := range a.proxies {
			known[p.Proxy] = p
		}
	}
	for _, e := range seen.envoys {
		if e.workload() == "" {
			continue // the line of envoy describes it
		}
		p, connected := known[e.workload()]
		line := func(result Result, detail, do string) {
			lines = append(lines, Line{istiodCheck, e.Admin.String(), result, detail, do})
		}
		switch {
		case !connected && complete:
			line(Wrong, "istiod does not know this Envoy: it keeps an old configuration", "look at the log of istio-proxy in the pod: certificate, network, version")
		case !connected:
			continue
		case p.Resources[listenerType].LastError != "":
			line(Wrong, "rejected the listeners that istiod pushed: "+p.Resources[listenerType].LastError, "an EnvoyFilter that does not fit is the usual cause")
		case p.ListenerSent != p.ListenerAcked || p.ClusterSent != p.ClusterAcked:
			line(Wrong, "has not acknowledged what istiod pushed last", "run doctor again in a minute; then look at the log of istio-proxy in the pod")
		default:
			line(OK, fmt.Sprintf("%s has the listeners that istiod pushed", e.workload()), "")
		}
	}
	if len(lines)+len(seen.envoys) == 0 {
		lines = append(lines, Line{istiodCheck, seen.istiods[0].from.String(), NotChecked, "no guarded Envoy is known to compare with", "see the lines of envoy"})
	}
	return lines
}
