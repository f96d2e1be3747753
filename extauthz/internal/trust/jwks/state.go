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
	Rejected    uint64             // attempts whose document is no set to use
}

// activate puts a set in force, and has it end in time.
func (s *Source) activate(good State) {
	s.mu.Lock()
	before := s.state.Load()
	good.Unreachable, good.Rejected = before.Unreachable, before.Rejected
	s.state.Store(&good)
	s.expiry.Reset(good.Fetched.Add(s.MaxStale).Sub(s.Now()))
	s.mu.Unlock()
	if before.Keys != good.Keys {
		s.Log.Info("key set active", "issuer", s.Issuer, "keys", len(good.Keys.KeyIDs()), "skipped", good.Keys.SkippedKeys())
		s.Changed()
	}
}

// reportFailure counts a failure, and logs it unless the one before was the same.
func (s *Source) reportFailure(err error) {
	s.mu.Lock()
	before := s.state.Load()
	after := *before
	after.Err = err
	if _, bad := errors.AsType[rejectedSet](err); bad {
		after.Rejected++
	} else {
		after.Unreachable++
	}
	s.state.Store(&after)
	s.mu.Unlock()
	if before.Err == nil || before.Err.Error() != err.Error() {
		s.Log.Error("no new key set, the last good one stays in force while it may", "issuer", s.Issuer, "url", s.URL, "error", err)
	}
}

// expireKeys takes the keys out of force once they are too old.
func (s *Source) expireKeys() {
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
