package scenarios

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Exchange is one request with its outcome, and the differences from the expected outcome.
type Exchange struct {
	Request  Request
	Expect   Expect
	Answer   Answer
	Records  []Record
	Hits     []string
	Problems []string // differences; empty: as expected
}

// settle bounds the wait for records and hits: they may reach a log after the answer reaches the sender.
const maxLogDelay = 5 * time.Second

// Run plays a case and returns an Exchange for each request, also for an outcome that differs. The
// error is one of the environment: a request could not be sent, or a log could not be read.
func Run(ctx context.Context, d Driver, s Scenario) ([]Exchange, error) {
	var played []Exchange
	for _, step := range s.Steps {
		for range step.Times {
			id := fmt.Sprintf("%s.%d.%s", s.Name, len(played)+1, strings.ToLower(rand.Text()[:6]))
			exchange, err := playRequest(ctx, d, Request{ID: id, Send: step.Send}, step.Expect)
			if err != nil {
				return played, fmt.Errorf("%s: %w", s.Name, err)
			}
			played = append(played, exchange)
		}
	}
	return played, nil
}

func playRequest(ctx context.Context, d Driver, r Request, want Expect) (Exchange, error) {
	answer, err := d.Send(ctx, r)
	if err != nil {
		return Exchange{}, err
	}
	e := Exchange{Request: r, Expect: want, Answer: answer}
	ctx, cancel := context.WithTimeout(ctx, maxLogDelay)
	defer cancel()
	for {
		if err := e.ReadOutcome(ctx, d); err != nil {
			return e, err
		}
		if e.hasAllExpected() || !waitBriefly(ctx) {
			return e, nil
		}
	}
}

// ReadOutcome reads the records and hits of the request, and compares them with the expected ones. A
// caller that reads them once more after all cases finds a record that came late, or twice.
func (e *Exchange) ReadOutcome(ctx context.Context, d Driver) error {
	var err error
	if e.Records, err = d.ReadRecords(ctx, e.Request.ID); err != nil {
		return err
	}
	if e.Hits, err = d.ReadHits(ctx, e.Request.ID); err != nil {
		return err
	}
	e.Problems = e.findDifferences()
	return nil
}

// hasAllExpected reports whether there are as many records and hits as expected, so that there is
// nothing to wait for.
func (e *Exchange) hasAllExpected() bool {
	return len(e.Records) >= len(e.Expect.Audit) && len(e.Hits) >= len(e.Expect.Hits)
}

// waitBriefly waits before the logs are read again. It returns false if the time is up.
func waitBriefly(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(20 * time.Millisecond):
		return true
	}
}
