// Package jwks follows the key set (RFC 7517) of one issuer at a URL, beside the
// requests and never within one: a Check sees the last good set at once, however
// slow, broken or hostile the server is.
//
// A set is replaced as a whole, so that a withdrawn key is gone with the next one.
// What cannot be fetched or is not a sound set changes nothing, up to MaxStale
// after the last success; then no key of the issuer may be used, because a
// blocked server must not keep a withdrawn key alive. The seed file carries the
// last set and the time of that success over a restart.
package jwks

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// Config says whose set is where. Two that are equal are the same source.
type Config struct {
	Issuer   string
	URL      string        // see [CheckURL]
	CAFile   string        // PEM, read at each fetch; empty: the system's
	Refresh  time.Duration // at least this often; a server may ask for more by Cache-Control
	MaxStale time.Duration // how long a set is good after the last success
	Seed     string        // file that this process alone writes; empty: none
}

// Hooks connect a source with whoever uses its keys. All are required.
type Hooks struct {
	Accept  func(*keyset.PublicKeys) error                       // why a sound set may still not be used
	Changed func()                                               // other keys are active, or none
	Owned   func(*keyset.PublicKeys) (kids []string, known bool) // those of the set that are this issuer's, not another's
	Log     *slog.Logger
	Now     func() time.Time
}

// Source is one key set. Its methods may be called from many goroutines.
type Source struct {
	Config
	Hooks
	bounds   bounds
	fetchNow chan struct{}
	missing  missingKeys

	fetching sync.Mutex // one fetch at a time; guards what only fetches use
	last     document   // the last good one
	wait     time.Duration
	failures int // failures since the last success

	saving    sync.Mutex // one write of the seed at a time
	seedOwned []string   // kids that the seed says are this issuer's; set by New alone

	mu     sync.Mutex // of those who change the state
	state  atomic.Pointer[State]
	expiry *time.Timer
}

// New starts from the seed file, if there is one that can be used.
func New(c Config, h Hooks) *Source {
	s := &Source{Config: c, Hooks: h, bounds: defaults, fetchNow: make(chan struct{}, 1)}
	s.state.Store(&State{})
	s.expiry = time.AfterFunc(c.MaxStale, s.expireKeys)
	if err := s.loadSeed(); err != nil {
		s.reportFailure(err)
	}
	return s
}

// State is the one in force.
func (s *Source) State() State { return *s.state.Load() }

// ValidUntil is when the keys may no longer be used, unless another fetch succeeds.
func (s *Source) ValidUntil() time.Time { return s.State().Fetched.Add(s.MaxStale) }

// Run fetches until ctx ends: when it is time, and when a key is missing.
func (s *Source) Run(ctx context.Context) {
	defer s.expiry.Stop()
	timer := time.NewTimer(s.nextWait())
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.fetchNow:
		case <-timer.C:
		}
		s.Fetch(ctx)
		timer.Reset(s.nextWait())
	}
}

func (s *Source) nextWait() time.Duration {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	return s.wait
}

// Fetch asks the server once and puts in force what it gives, if that is good. It
// takes 5 s at most.
func (s *Source) Fetch(ctx context.Context) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	began := s.Now()
	s.missing.noteFetch(began)
	got, err := s.requestDocument(ctx)
	if err == nil {
		err = s.checkDocument(&got)
	}
	switch {
	case ctx.Err() != nil: // we are to stop: nothing is wrong with the server
	case err != nil:
		s.recordFailure(err)
	default:
		s.recordSuccess(got, began)
	}
}

// checkDocument reads the document, or recalls it where the server says that it is the
// same, and asks whether it may be used.
func (s *Source) checkDocument(got *document) error {
	if got.notModified {
		got.keys, got.etag = s.last.keys, s.last.etag
	} else {
		keys, err := keyset.ParseJWKS(got.body)
		if err != nil {
			return rejectedSet{err}
		}
		got.keys = keys
	}
	if err := s.Accept(got.keys); err != nil {
		return rejectedSet{err}
	}
	return nil
}

// rejectedSet is the error of a document that came and may not be used.
type rejectedSet struct{ error }

func (s *Source) recordSuccess(got document, began time.Time) {
	if s.last.keys != nil && s.last.keys.Equal(got.keys) {
		got.keys = s.last.keys // the same set stays the same value: nothing is made anew
	}
	s.last, s.failures = got, 0
	s.wait = jitter(s.bounds.clampMaxAge(got.maxAge, s.Refresh))
	if s.State().Err != nil {
		s.Log.Info("key set fetched again", "issuer", s.Issuer)
	}
	s.activate(State{Keys: got.keys, Fetched: began})
	s.SaveSeed()
}

func (s *Source) recordFailure(err error) {
	s.wait = jitter(min(s.Refresh, s.bounds.retry<<min(s.failures, 16)))
	s.failures++
	s.reportFailure(err)
}

// jitter is a little less than d, and for each replica a different time.
func jitter(d time.Duration) time.Duration { return d - rand.N(d/10+1) }
