package jwks

import (
	"errors"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// State is what is known of the set now: immutable.
type State struct {
	Keys        *keyset.PublicKeys // nil: none may be used
	Fetched     time.Time          // when the last success began; zero: never
	Err         error              // why the last attempt came to nothing; nil: it did not
	Unreachable uint64             // attempts that brought no document
	Refused     uint64             // attempts whose document is no set to use
}

// keep puts a set in force, and has it end in time.
func (s *Source) keep(good State) {
	s.mu.Lock()
	before := s.state.Load()
	good.Unreachable, good.Refused = before.Unreachable, before.Refused
	s.state.Store(&good)
	s.expiry.Reset(good.Fetched.Add(s.MaxStale).Sub(s.Now()))
	s.mu.Unlock()
	if before.Keys != good.Keys {
		s.Log.Info("key set active", "issuer", s.Issuer, "keys", len(good.Keys.KeyIDs()), "skipped", good.Keys.SkippedKeys())
		s.Changed()
	}
}

// report counts a failure, and logs it unless the one before was the same.
func (s *Source) report(err error) {
	s.mu.Lock()
	before := s.state.Load()
	after := *before
	after.Err = err
	if _, bad := errors.AsType[refused](err); bad {
		after.Refused++
	} else {
		after.Unreachable++
	}
	s.state.Store(&after)
	s.mu.Unlock()
	if before.Err == nil || before.Err.Error() != err.Error() {
		s.Log.Error("no new key set, the last good one stays in force while it may", "issuer", s.Issuer, "url", s.URL, "error", err)
	}
}

// expire takes the keys out of force once they are too old.
func (s *Source) expire() {
	s.mu.Lock()
	before := s.state.Load()
	if left := before.Fetched.Add(s.MaxStale).Sub(s.Now()); left > 0 {
		s.expiry.Reset(left) // the clock was set, or a fetch came first
		s.mu.Unlock()
		return
	}
	after := *before
	after.Keys = nil
	s.state.Store(&after)
	s.mu.Unlock()
	if before.Keys != nil {
		s.Log.Error("key set too old, its keys are no longer used", "issuer", s.Issuer, "fetched", before.Fetched.UTC())
		s.Changed()
	}
}
