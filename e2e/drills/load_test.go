package drills

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// pace of each stream: enough to be always under way, not so much that two
// cores have nothing left for what is drilled.
const pace = 20 * time.Millisecond

// load sends all kinds of requests to both workloads without an end, so that
// what must be refused is always asked for, too. Every request is counted.
type load struct {
	streams []*stream
	stop    chan struct{}
	senders sync.WaitGroup
}

// stream is one kind of request to one workload.
type stream struct {
	request request
	kind    kind
	client  *http.Client
	mu      sync.Mutex
	got     []answer
	lost    []error // no answer at all
}

func (r *rig) startLoad(t *testing.T) *load {
	l := &load{stop: make(chan struct{})}
	for _, to := range []string{closed, open} {
		for k := range kinds {
			s := &stream{request: r.ask(to, k), kind: k, client: r.client(t, "tyk-gateway")}
			l.streams = append(l.streams, s)
			l.senders.Go(func() { s.run(l.stop) })
		}
	}
	t.Cleanup(l.end)
	return l
}

func (s *stream) run(stop <-chan struct{}) {
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			s.once()
		}
	}
}

func (s *stream) once() {
	got, err := deliver(s.client, s.request)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.lost = append(s.lost, err)
		return
	}
	s.got = append(s.got, got)
}

// tally counts the answers by what they say.
func (s *stream) tally() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, got := range s.got {
		counts[got.String()]++
	}
	return counts
}

// sees waits until every stream has had n more answers like want.
func (l *load) sees(t *testing.T, n int, toClosed, toOpen answers) {
	t.Helper()
	for _, s := range l.streams {
		want := map[string]answers{closed: toClosed, open: toOpen}[s.request.to].of[s.kind]
		before := s.tally()[want]
		eventually(t, s.request.to+" answers "+want, func() bool { return s.tally()[want] >= before+n })
	}
}

// end returns when every request that was sent has its answer.
func (l *load) end() {
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.senders.Wait()
}

// check ends the load. Nothing but what the drill admits may have been
// answered, no request may be without an answer, and what was let in is what
// reached the programs.
func (l *load) check(t *testing.T, r *rig, d drill) {
	t.Helper()
	l.end()
	for _, s := range l.streams {
		want := map[string]answers{closed: d.closed, open: d.open}[s.request.to]
		for _, got := range s.got {
			reached := len(r.apps[s.request.to].requests(got.id))
			if !want.admits(s.kind, got) || (got.status == http.StatusOK) != (reached == 1) {
				t.Errorf("%s, %v: answered %v and reached the program %d times; want %s", s.request.to, s.kind, got, reached, want.of[s.kind])
			}
		}
		for _, err := range s.lost {
			t.Errorf("%s, %v: no answer: %v", s.request.to, s.kind, err)
		}
		t.Logf("%s, %v: %v", s.request.to, s.kind, s.tally())
	}
}

// decidedOnce compares the answers with the records: for each one, which says the same.
func (l *load) decidedOnce(t *testing.T, authorizers ...*authorizer) {
	t.Helper()
	recorded := map[string][]string{}
	for _, a := range authorizers {
		for _, one := range a.records(t) {
			recorded[one.RequestID] = append(recorded[one.RequestID], one.Decision+" "+one.Reason)
		}
	}
	for _, s := range l.streams {
		want := [kinds]string{"allow rule_allowed", "deny no_rule", "deny signature_invalid", "deny token_missing"}[s.kind]
		for _, got := range s.got {
			if all := recorded[got.id]; len(all) != 1 || all[0] != want {
				t.Errorf("%s, %v: answered %v, and the records say %q", s.request.to, s.kind, got, all)
			}
		}
	}
}
