package main

import (
	"io"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// selfTest remembers for an interval whether a token can be signed now, so that
// whoever asks, however often, costs one signature a second.
type selfTest struct {
	lock sync.Mutex
	at   time.Time // zero: never
	err  error
}

// ready signs a token with the key in force and verifies it as a hop would. The
// token goes nowhere: neither to a client nor into a log. A definition that lists our
// hooks and is not protected by them is a fault too.
func (s *signer) ready() error {
	if s.broken != nil {
		return s.broken
	}
	if err := s.definitions.err(); err != nil {
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

// Canary is the pre hook of an API that has no upstream: it answers 200 where
// callers would get a token signed, else 503 and why. A gateway whose plugin cannot
// be loaded answers 500 in its place. A probe gets no audit record, only a count:
// nothing is decided about anybody.
func Canary(rw http.ResponseWriter, r *http.Request) {
	s := current()
	reason := decision.Panic // unless the test comes to its end
	defer func() {
		if cause := recover(); cause != nil {
			s.log.Error("the canary panicked", "panic", kindOf(cause), "stack", string(debug.Stack()))
		}
		s.meter.canary.add(reason)
		answerProbe(rw, reason)
	}()
	err := s.ready()
	reason = decision.Issued
	if err != nil {
		reason = token.ReasonOf(err)
	}
}

func answerProbe(rw http.ResponseWriter, reason decision.Reason) {
	if reason != decision.Issued {
		writeProblem(rw, http.StatusServiceUnavailable, reason)
		return
	}
	rw.Header().Set("Cache-Control", "no-store")
	rw.WriteHeader(http.StatusOK)
	_, _ = io.WriteString(rw, "ready\n") // the prober may have gone: nothing is left to be done
}
