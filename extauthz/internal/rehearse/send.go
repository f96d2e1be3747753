package rehearse

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
)

const (
	inFlight       = 64 // requests of one load under way together
	requestTimeout = 30 * time.Second
	maxAnswer      = 64 << 10 // bytes of a body that are read for its message
)

// sent is a request and its answer.
type sent struct {
	id      string
	at      time.Duration // since the start
	took    time.Duration
	status  int    // 0: no answer
	message string // of Tyk's error body
	err     string
	alone   bool // no other request was under way meanwhile
}

// sender sends all loads of a plan.
type sender struct {
	copy    *localcopy.Copy
	loads   []plan.Load
	callers []*localcopy.Caller
	byName  map[string]*localcopy.Caller
	results [][]sent // by load
	idle    [][]sent // by load: sent after all of them, one at a time
	client  *http.Client
	done    atomic.Int64
}

func newSender(ctx context.Context, c *localcopy.Copy, p *plan.Plan) (*sender, error) {
	s := &sender{copy: c, loads: p.Load, byName: map[string]*localcopy.Caller{}}
	for _, l := range p.Load {
		if s.byName[l.As] != nil {
			continue
		}
		caller, err := c.AddCaller(ctx, p, l.As)
		if err != nil {
			return nil, fmt.Errorf("the credential of %s: %w", l.As, err)
		}
		s.byName[l.As] = caller
		s.callers = append(s.callers, caller)
	}
	dialer := &net.Dialer{Control: refuseOutside}
	s.client = &http.Client{
		Timeout:       requestTimeout,
		Transport:     &http.Transport{Proxy: nil, DialContext: dialer.DialContext, MaxIdleConnsPerHost: inFlight, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// errOutside is the error of a connection to another machine.
var errOutside = errors.New("a rehearsal connects to loopback alone")

// refuseOutside is called with each address before a connection is made.
func refuseOutside(_, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s: %w", address, errOutside)
	}
	return nil
}

// sendAll sends all loads, each in its own time. An error means that a program has ended, or ctx.
func (s *sender) sendAll(ctx context.Context, progress func(done, all int)) error {
	ctx, cancel := context.WithTimeout(ctx, plan.MaxTime+requestTimeout)
	defer cancel()
	all := 0
	for _, l := range s.loads {
		s.results = append(s.results, make([]sent, l.Requests()))
		all += l.Requests()
	}
	began := time.Now()
	var senders sync.WaitGroup
	for i := range s.loads {
		senders.Go(func() { s.sendLoad(ctx, i, began) })
	}
	ended := make(chan struct{})
	go func() { senders.Wait(); close(ended) }()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			progress(int(s.done.Load()), all)
			return errors.Join(ctx.Err(), s.copy.CheckAlive())
		case <-tick.C:
			progress(int(s.done.Load()), all)
			if err := s.copy.CheckAlive(); err != nil {
				cancel()
				<-ended
				return err
			}
		}
	}
}

// sendLoad sends the requests of a load. Those of a burst follow each other; those of a rate start at their times.
func (s *sender) sendLoad(ctx context.Context, load int, began time.Time) {
	l := s.loads[load]
	var pending sync.WaitGroup
	defer pending.Wait()
	places := make(chan struct{}, inFlight)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for n := range s.results[load] {
		timer.Reset(time.Until(began.Add(l.Due(n))))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		send := func() {
			s.results[load][n] = s.sendOne(ctx, load, n, began)
			s.done.Add(1)
		}
		if l.Burst > 0 {
			send()
			continue
		}
		places <- struct{}{}
		pending.Go(func() { send(); <-places })
	}
}

// sendOne sends a request. It gets its answer even if ctx ends meanwhile, unless the programs are ended.
func (s *sender) sendOne(ctx context.Context, load, n int, began time.Time) sent {
	l := s.loads[load]
	result := sent{id: fmt.Sprintf("rehearsal-%d-%d", load+1, n+1)}
	request, err := http.NewRequestWithContext(ctx, l.Method, "http://"+s.copy.GatewayAddress()+l.Path, strings.NewReader(l.Body))
	if err != nil {
		result.err = err.Error()
		return result
	}
	for name, value := range l.Headers {
		request.Header.Set(name, value)
	}
	request.Host = l.Host
	request.Header.Set("X-Request-Id", result.id)
	s.copy.SetCredential(request.Header, s.byName[l.As], s.copy.FindAPI(l.Host, l.Path))
	start := time.Now()
	result.at = start.Sub(began)
	response, err := s.client.Do(request)
	if err != nil {
		result.took, result.err = time.Since(start), "no answer: "+describeError(err)
		return result
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer)) // a message that is cut is not read
	result.took, result.status = time.Since(start), response.StatusCode
	var tyk struct{ Error string }
	if json.Unmarshal(body, &tyk) == nil {
		result.message = tyk.Error
	}
	return result
}

func describeError(err error) string {
	if inner := errors.Unwrap(err); inner != nil {
		return inner.Error() // without the URL
	}
	return err.Error()
}

// sortLatencies gives the sorted times of answered requests.
func sortLatencies(results []sent) []time.Duration {
	var all []time.Duration
	for _, r := range results {
		if r.status > 0 {
			all = append(all, r.took)
		}
	}
	slices.Sort(all)
	return all
}
