package check_test

import (
	"context"
	"sync"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/identity"
)

// meter keeps the counted decisions. Checks that run at the same time share it.
type meter struct {
	mu      sync.Mutex
	decided []string // decision and reason
	missing []string // caller and callee of requests without a token
}

func (m *meter) Decided(_ context.Context, d decision.Decision, _ time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.decided = append(m.decided, d.String()+" "+string(d.Reason))
}

func (m *meter) TokenMissing(caller, callee identity.Workload) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.missing = append(m.missing, string(caller)+" "+string(callee))
}
