package audit

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/logqueue"
)

// Sampled is the cause of a gap that counts allows which were not recorded because of
// [Settings.SampleAllowed]. They are not lost.
const Sampled logqueue.Cause = "sampled"

// sampledInterval is the time over which allows that are not recorded are counted in one gap.
const sampledInterval = 10 * time.Second

// sampler counts the allows that are not recorded.
type sampler struct {
	report func(count uint64, since time.Time)
	total  atomic.Uint64

	mu      sync.Mutex
	pending uint64    // not reported yet; a timer runs while there are any
	since   time.Time // of the first of them
}

// positionOf places a record between 0 and 1: it is recorded if the share is above that.
// Hops agree on one request, because all records of a transaction have one position. The id
// that it depends on is the first one that is known: of the transaction, of the trace, of
// the request, or of the record itself, which is random.
func positionOf(r Record) float64 {
	id := r.ID
	for _, known := range []string{r.RequestID, r.TraceID, r.Txn} {
		if known != "" {
			id = known
		}
	}
	sum := sha256.Sum256([]byte(id))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53) // 53 bits, all that a float64 can hold
}

// count counts an allow that is not recorded.
func (s *sampler) count(now time.Time) {
	s.total.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == 0 {
		s.since = now
		time.AfterFunc(sampledInterval, s.reportPending)
	}
	s.pending++
}

// reportPending reports the allows that were counted since the last call.
func (s *sampler) reportPending() {
	s.mu.Lock()
	count, since := s.pending, s.since
	s.pending = 0
	s.mu.Unlock()
	if count > 0 {
		s.report(count, since)
	}
}
