package drills

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// sendInterval is the time between two requests of a stream: short enough for constant load, and
// long enough to leave time on two cores for the parts under test.
const sendInterval = 20 * time.Millisecond

// load sends all kinds of requests to both workloads until it is stopped, so requests that must be
// denied are always among them. Every request is counted.
type load struct {
	streams []*stream
	stop    chan struct{}
	senders sync.WaitGroup
}

// stream is one kind of request to one workload.
type stream struct {
	request request
	kind    requestKind
	client  *http.Client
	mu      sync.Mutex
	got     []answer
	lost    []error // no answer at all
}

func (r *rig) startLoad(t *testing.T) *load {
	l := &load{stop: make(chan struct{})}
	for _, to := range []string{closed, open} {
		for k := range requestKinds {
			s := &stream{request: r.newRequest(to, k), kind: k, client: r.clientOf(t, "tyk-gateway")}
			l.streams = append(l.streams, s)
			l.senders.Go(func() { s.sendUntil(l.stop) })
		}
	}
	t.Cleanup(l.stopSending)
	return l
}

func (s *stream) sendUntil(stop <-chan struct{}) {
	tick := time.NewTicker(sendInterval)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.sendOnce()
		}
	}
}

func (s *stream) sendOnce() {
	got, err := sendRequest(s.client, s.request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lost = append(s.lost, err)
		return
	}
	s.got = append(s.got, got)
}

// countAnswers counts the answers by their text.
func (s *stream) countAnswers() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, got := range s.got {
		counts[got.String()]++
	}
	return counts
}

// awaitAnswers waits until every stream has got n more answers as wanted.
func (l *load) awaitAnswers(t *testing.T, n int, toClosed, toOpen answers) {
	t.Helper()
	for _, s := range l.streams {
		want := map[string]answers{closed: toClosed, open: toOpen}[s.request.to].byKind[s.kind]
		before := s.countAnswers()[want]
		eventually(t, s.request.to+" answers "+want, func() bool { return s.countAnswers()[want] >= before+n })
	}
}

// stopSending returns when every sent request has its answer.
func (l *load) stopSending() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.senders.Wait()
}

// checkAll ends the load. Every answer must be one that the drill admits, every request must
// have an answer, and exactly the allowed requests must have reached the programs.
func (l *load) checkAll(t *testing.T, r *rig, d drill) {
	t.Helper()
	l.stopSending()
	for _, s := range l.streams {
		want := map[string]answers{closed: d.closed, open: d.open}[s.request.to]
		for _, got := range s.got {
			reached := len(r.apps[s.request.to].requestsWithID(got.id))
			if !want.admits(s.kind, got) || (got.status == http.StatusOK) != (reached == 1) {
				t.Errorf("%s, %v: answered %v and reached the program %d times; want %s", s.request.to, s.kind, got, reached, want.byKind[s.kind])
			}
		}
		for _, err := range s.lost {
			t.Errorf("%s, %v: no answer: %v", s.request.to, s.kind, err)
		}
		t.Logf("%s, %v: %v", s.request.to, s.kind, s.countAnswers())
	}
}

// checkRecords compares the answers with the records: each answer has exactly one record with the same decision.
func (l *load) checkRecords(t *testing.T, authorizers ...*authorizer) {
	t.Helper()
	recorded := map[string][]string{}
	for _, a := range authorizers {
		for _, one := range a.readRecords(t) {
			recorded[one.RequestID] = append(recorded[one.RequestID], one.Decision+" "+one.Reason)
		}
	}
	for _, s := range l.streams {
		want := [requestKinds]string{"allow rule_allowed", "deny no_rule", "deny signature_invalid", "deny token_missing"}[s.kind]
		for _, got := range s.got {
			if all := recorded[got.id]; len(all) != 1 || all[0] != want {
				t.Errorf("%s, %v: answered %v, and the records have %q", s.request.to, s.kind, got, all)
			}
		}
	}
}
