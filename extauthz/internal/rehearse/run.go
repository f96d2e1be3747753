// Package rehearse tries rate limits, quotas and rules before production: it sends a described load to a copy of the real gateway,
// Envoy and authorizer on loopback, and reports what each caller got, with the layer and the reason.
package rehearse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/rehearse/localcopy"
	"github.com/meshpass/meshpass/extauthz/internal/rehearse/plan"
)

// Options of a rehearsal.
type Options struct {
	Plan     *plan.Plan
	Programs localcopy.Programs
	Records  *Recording // nil: the load of the plan
	Speed    float64    // of Records: 2 sends them in half of the recorded time
	Isolated bool       // the process is in a network namespace without a way out
	Progress Progress
}

// Progress is called while a rehearsal runs.
type Progress interface {
	Starting(part string)
	Sent(done, all int)
	Finished()
}

// Run returns the report. Nothing that it started is left when it returns, with or without an error.
func Run(ctx context.Context, o Options) (report *Report, err error) {
	o.Progress.Starting("reading and copying the configuration")
	c, err := localcopy.Prepare(o.Plan, o.Programs)
	defer func() { err = errors.Join(err, c.Close()) }()
	if err != nil {
		return nil, err
	}
	p := *o.Plan
	var replayed *replayPlan
	if o.Records != nil {
		if replayed, err = newReplay(o.Records, c, o.Speed); err != nil {
			return nil, err
		}
		p.Users, p.Keys, p.Load = replayed.users, replayed.keys, replayed.load
	}
	if err := c.CheckCallers(&p); err != nil {
		return nil, err
	}
	defer o.Progress.Finished()
	if err := c.Start(ctx, o.Progress.Starting); err != nil {
		return nil, explainFailure(ctx, err)
	}
	s, err := newSender(ctx, c, &p)
	if err != nil {
		return nil, explainFailure(ctx, err)
	}
	began := time.Now()
	if err := s.sendAll(ctx, o.Progress.Sent); err != nil {
		return nil, explainFailure(ctx, err)
	}
	took := time.Since(began)
	sessions, err := c.ReadSessions(ctx, s.callers)
	s.sendIdle(ctx, began)
	s.markAlone()
	if err = errors.Join(err, ctx.Err(), c.AwaitRecords(ctx)); err != nil {
		return nil, explainFailure(ctx, err)
	}
	if err := c.StopAll(); err != nil {
		return nil, err
	}
	traces, err := c.ReadTraces()
	if err != nil {
		return nil, err
	}
	report = newReport(c, &p, s, took, o.Isolated)
	report.addResults(&p, s, newExplainer(c, sessions, traces))
	if o.Records != nil {
		report.addReplay(o.Plan, replayed)
	}
	report.countMissed()
	return report, nil
}

// ErrInterrupted is the error of a rehearsal that the user ended.
var ErrInterrupted = errors.New("interrupted: everything that was started has ended")

func explainFailure(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return fmt.Errorf("the rehearsal could not run: %w", err)
}
