// Package jwks follows the key set (RFC 7517) of one issuer at a URL. Fetches run
// beside the requests and never within one: a Check reads the last good set at once,
// however slow, broken or hostile the server is.
//
// A set is replaced as a whole, so a withdrawn key is gone with the next set. A fetch
// that fails, or that returns an unusable set, changes nothing until MaxStale after the
// last success. Then no key of the issuer may be used, because a blocked server must
// not keep a withdrawn key active. The seed file keeps the last set, and the time of
// its fetch, over a restart.
package jwks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/internal/secretfile"
	"github.com/meshpass/meshpass/shared/keyset"
)

// Hooks connect a source with the owner of its keys. All are required.
type Hooks struct {
	Accept  func(*keyset.PublicKeys) error                       // error: a well-formed set that may not be used
	Changed func()                                               // the active keys have changed, or may no longer be used
	Owned   func(*keyset.PublicKeys) (kids []string, known bool) // the keys of the set that this issuer owns, and no other issuer
	Log     *slog.Logger
	Now     func() time.Time
}

// Source follows one key set. Its methods may be called from many goroutines.
type Source struct {
	Config   Config // never changes
	hooks    Hooks
	bounds   bounds
	fetchNow chan struct{}
	missing  missingKeys

	fetching sync.Mutex    // one fetch at a time; guards the next three
	last     document      // the last good one
	wait     time.Duration // until the next fetch
	failures int           // since the last success

	saving    sync.Mutex // one write of the seed at a time
	seedOwned []string   // kids that the issuer owns by its seed; set by New only

	mu     sync.Mutex // of writers of state
	state  atomic.Pointer[State]
	expiry *time.Timer
}

// New starts with the key set of the seed file, if there is a usable one.
func New(c Config, h Hooks) *Source {
	s := &Source{Config: c, hooks: h, bounds: defaultBounds, fetchNow: make(chan struct{}, 1)}
	s.state.Store(&State{})
	s.expiry = time.AfterFunc(c.MaxStale, s.expireKeys)
	if err := s.loadSeed(); err != nil {
		s.reportFailure(err)
	}
	return s
}

// loadSeed starts with the key set of the seed file. On error the source starts without
// keys: the seed is only a copy, and the server has the original.
func (s *Source) loadSeed() error {
	if s.Config.Seed == "" {
		return nil
	}
	data, err := secretfile.Read(s.Config.Seed, secretfile.Trusted, maxSeedBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("seed: %w", err)
	}
	s.seedOwned = readSeedOwned(data, s.Config.Issuer)
	keys, fetched, err := readSeedKeys(data, s.Config, s.hooks.Now())
	if err != nil {
		return fmt.Errorf("seed %s is not used: %w", s.Config.Seed, err)
	}
	s.last.keys = keys
	s.activate(State{Keys: keys, Fetched: fetched})
	return nil
}

// State is the current one.
func (s *Source) State() State { return *s.state.Load() }

// ValidUntil is when the keys may no longer be used, unless another fetch succeeds.
func (s *Source) ValidUntil() time.Time { return s.State().Fetched.Add(s.Config.MaxStale) }

// SeedOwned lists the kids that the issuer owned at the end of the last process, by its
// seed.
func (s *Source) SeedOwned() []string { return s.seedOwned }

// Run fetches until ctx ends: on schedule, and when a key is missing.
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

// FetchForKey causes a fetch soon, if the set may contain this key by now. It never
// waits: the request with the kid is denied at once.
func (s *Source) FetchForKey(kid string) {
	if !s.missing.startFetch(kid, s.hooks.Now(), min(s.bounds.missingPause, s.Config.Refresh), s.bounds.missingLongPause) {
		return
	}
	select {
	case s.fetchNow <- struct{}{}:
	default: // a fetch is due already
	}
}

// Fetch requests the key set once and activates it, if it may be used. It takes 5 s at
// most.
func (s *Source) Fetch(ctx context.Context) {
	s.fetching.Lock()
	defer s.fetching.Unlock()
	began := s.hooks.Now()
	s.missing.noteFetch(began)
	got, err := requestDocument(ctx, s.Config, s.bounds.timeout, s.last.etag)
	if err == nil {
		got, err = s.checkDocument(got)
	}
	switch {
	case ctx.Err() != nil: // the source is being stopped, and the server is not at fault
	case err != nil:
		s.recordFailure(err)
	default:
		s.recordSuccess(got, began)
	}
}

// checkDocument parses the key set, or takes the last one if the server answers that it has
// not changed, and asks the hook whether it may be used.
func (s *Source) checkDocument(got document) (document, error) {
	if got.notModified {
		got.keys, got.etag = s.last.keys, s.last.etag
	} else {
		keys, err := keyset.ParseJWKS(got.body)
		if err != nil {
			return got, rejectedError{err}
		}
		got.keys = keys
	}
	if err := s.hooks.Accept(got.keys); err != nil {
		return got, rejectedError{err}
	}
	return got, nil
}

func (s *Source) recordSuccess(got document, began time.Time) {
	if s.last.keys != nil && s.last.keys.Equal(got.keys) {
		got.keys = s.last.keys // an unchanged set stays the same value, so that no verifier is made again
	}
	s.last, s.failures = got, 0
	s.wait = jitter(s.bounds.waitAfterSuccess(got.maxAge, s.Config.Refresh))
	if s.State().Err != nil {
		s.hooks.Log.Info("key set fetched again", "issuer", s.Config.Issuer)
	}
	s.activate(State{Keys: got.keys, Fetched: began})
	s.SaveSeed()
}

func (s *Source) recordFailure(err error) {
	s.wait = jitter(s.bounds.waitAfterFailure(s.failures, s.Config.Refresh))
	s.failures++
	s.reportFailure(err)
}

// activate makes a set active until it is too old.
func (s *Source) activate(next State) {
	s.mu.Lock()
	before := s.state.Load()
	next.Unreachable, next.Rejected = before.Unreachable, before.Rejected
	s.state.Store(&next)
	s.expiry.Reset(next.Fetched.Add(s.Config.MaxStale).Sub(s.hooks.Now()))
	s.mu.Unlock()
	if before.Keys != next.Keys {
		s.hooks.Log.Info("key set active", "issuer", s.Config.Issuer, "keys", len(next.Keys.KeyIDs()), "skipped", next.Keys.SkippedKeys())
		s.hooks.Changed()
	}
}

// reportFailure counts a failure, and logs it if its message is new.
func (s *Source) reportFailure(err error) {
	s.mu.Lock()
	before := s.state.Load()
	after := *before
	after.Err = err
	if _, rejected := errors.AsType[rejectedError](err); rejected {
		after.Rejected++
	} else {
		after.Unreachable++
	}
	s.state.Store(&after)
	s.mu.Unlock()
	if !logonce.SameMessage(before.Err, err) {
		s.hooks.Log.Error("no new key set; the last good one stays active until it is too old", "issuer", s.Config.Issuer, "url", s.Config.URL, "error", err)
	}
}

// expireKeys removes the keys when they are too old.
func (s *Source) expireKeys() {
	s.mu.Lock()
	before := s.state.Load()
	if left := before.Fetched.Add(s.Config.MaxStale).Sub(s.hooks.Now()); left > 0 {
		s.expiry.Reset(left) // the clock was set back, or a fetch succeeded just before
		s.mu.Unlock()
		return
	}
	after := *before
	after.Keys = nil
	s.state.Store(&after)
	s.mu.Unlock()
	if before.Keys != nil {
		s.hooks.Log.Error("key set too old, its keys are no longer used", "issuer", s.Config.Issuer, "fetched", before.Fetched.UTC())
		s.hooks.Changed()
	}
}

// SaveSeed writes the seed for the next start: the set, and which of its keys the issuer
// owns. A failure is only logged, because this process does not need the seed.
func (s *Source) SaveSeed() {
	if s.Config.Seed == "" {
		return
	}
	s.saving.Lock()
	defer s.saving.Unlock()
	state := s.State()
	if state.Keys == nil {
		return // the seed on disk still lists the keys that the issuer owns
	}
	owned, known := s.hooks.Owned(state.Keys)
	if !known {
		owned = keepPresent(s.seedOwned, state.Keys)
	}
	if err := writeSeed(s.Config, state, owned); err != nil {
		s.hooks.Log.Error("cannot write the seed: after a restart while the server is down, the issuer has no keys", "issuer", s.Config.Issuer, "error", err)
	}
}
