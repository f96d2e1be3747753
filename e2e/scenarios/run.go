package scenarios

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"
)

// Exchange is one request that was sent, all that came of it, and what of that was not expected.
type Exchange struct {
	Request  Request
	Expect   Expect
	Answer   Answer
	Records  []Record
	Hits     []string
	Problems []string // empty: as expected
}

// settle bounds the wait for records and hits, which may reach a log after the answer was seen.
const settle = 5 * time.Second

// Run plays a case and returns an Exchange for each request, also when an outcome differs. The
// error is about the environment: a request that could not be sent, a log that could not be read.
func Run(ctx context.Context, d Driver, s Scenario) ([]Exchange, error) {
	var played []Exchange
	for _, step := range s.Steps {
		for range step.Times {
			id := fmt.Sprintf("%s.%d.%s", s.Name, len(played)+1, strings.ToLower(rand.Text()[:6]))
			exchange, err := play(ctx, d, Request{ID: id, Send: step.Send}, step.Expect)
			if err != nil {
				return played, fmt.Errorf("%s: %w", s.Name, err)
			}
			played = append(played, exchange)
		}
	}
	return played, nil
}

func play(ctx context.Context, d Driver, r Request, want Expect) (Exchange, error) {
	answer, err := d.Send(ctx, r)
	if err != nil {
		return Exchange{}, err
	}
	e := Exchange{Request: r, Expect: want, Answer: answer}
	ctx, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	for {
		if err := e.Look(ctx, d); err != nil {
			return e, err
		}
		if e.complete() || !pause(ctx) {
			return e, nil
		}
	}
}

// Look reads records and hits again and judges the exchange anew. A caller that looks once more
// after all cases were played catches a record that came too late to be seen, or too often.
func (e *Exchange) Look(ctx context.Context, d Driver) error {
	var err error
	if e.Records, err = d.Records(ctx, e.Request.ID); err != nil {
		return err
	}
	if e.Hits, err = d.Hits(ctx, e.Request.ID); err != nil {
		return err
	}
	e.Problems = e.judge()
	return nil
}

// complete: as many records and hits as expected are there, so waiting longer adds nothing.
func (e *Exchange) complete() bool {
	return len(e.Records) >= len(e.Expect.Audit) && len(e.Hits) >= len(e.Expect.Hits)
}

// pause waits before the logs are read again; false when time is up.
func pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(20 * time.Millisecond):
		return true
	}
}
