package main

import (
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/panics"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// Canary is the pre hook of an API that has no upstream. It answers 200 where callers would get a token,
// else 503 and the reason. A gateway whose plugin cannot be loaded answers 500 in its place. A probe
// gets no audit record, only a count, because it is no decision about a caller.
func Canary(rw http.ResponseWriter, _ *http.Request) { activeSigner().answerCanary(rw, nil) }

// answerCanary answers a probe. fault is what is wrong with the probe's own API; nil: nothing is.
func (s *signer) answerCanary(rw http.ResponseWriter, fault error) {
	reason := decision.Panic // unless the test comes to its end
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("the canary panicked", "panic", panics.Describe(cause), "stack", string(debug.Stack()))
		}
		s.meter.CountCanary(reason)
		answerProbe(rw, reason)
	}()
	err := fault
	if err == nil {
		err = s.checkReady()
	}
	reason = decision.Issued
	if err != nil {
		reason = token.ReasonOf(err)
	}
}

// selfTest remembers for an interval whether a token can be signed now, so that probes cost one
// signature a second, however many there are.
type selfTest struct {
	lock sync.Mutex
	at   time.Time // zero: never
	err  error
}

// checkReady signs a token with the current key and verifies it as a hop would. The token goes nowhere:
// neither to a client nor into a log. A definition that lists our hooks and is not protected by them is
// a fault too.
func (s *signer) checkReady() error {
	if s.broken != nil {
		return s.broken
	}
	if err := s.definitions.Report().Fault; err != nil {
		return err
	}
	s.test.lock.Lock()
	defer s.test.lock.Unlock()
	if now := s.now(); s.test.at.IsZero() || now.Sub(s.test.at) >= interval || now.Before(s.test.at) {
		s.test.err = s.minter.SelfTest()
		s.test.at = now
	}
	return s.test.err
}

func answerProbe(rw http.ResponseWriter, reason decision.Reason) {
	if reason != decision.Issued {
		denial.WriteStatus(rw, http.StatusServiceUnavailable, reason)
		return
	}
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(rw, "ready\n") // an error means that the prober has gone
}
