package ops

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/meshpass/meshpass/shared/identity"
)

// maxPairs bounds the pairs of workloads that have a series of their own: a foreign mesh names its
// workloads as it likes. Later pairs are counted together.
const maxPairs = 1000

// otherWorkload stands for both workloads of a pair beyond maxPairs; no workload is named so.
const otherWorkload = "other"

// missing counts requests without a token by who called whom: the caller is the service that did not
// pass the token on.
type missing struct {
	counter *prometheus.CounterVec

	mu   sync.Mutex
	seen map[[3]string]bool
}

func newMissing() *missing {
	return &missing{seen: map[[3]string]bool{}, counter: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "meshpass_token_missing_total", Help: "Requests denied for want of a token, by the workloads that called and were called.",
	}, []string{"listener", "caller", "callee"})}
}

// TokenMissing counts a request that was denied because it carried no token.
func (l *Listener) TokenMissing(caller, callee identity.Workload) {
	l.metrics.missing.count([3]string{l.name, string(caller), string(callee)})
}

func (m *missing) count(pair [3]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.seen[pair]:
	case len(m.seen) < maxPairs:
		m.seen[pair] = true
	default:
		pair[1], pair[2] = otherWorkload, otherWorkload
	}
	m.counter.WithLabelValues(pair[:]...).Inc()
}
