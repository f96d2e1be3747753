package check

import (
	"context"

	"github.com/meshpass/meshpass/extauthz/internal/decide"
	"github.com/meshpass/meshpass/extauthz/internal/tracing"
)

// recordSpan puts the answer on the span of a sampled Check.
func recordSpan(ctx context.Context, listener string, a decide.Answer) {
	if !tracing.IsSampled(ctx) {
		return
	}
	o := tracing.Outcome{
		Listener: listener, Decision: a.Decision.String(), Reason: string(a.Decision.Reason), Policy: a.Decision.Policy, Rule: a.Decision.Rule,
	}
	for _, m := range a.Metadata {
		if m.Name == "txn" {
			o.Txn = m.Value
		}
	}
	tracing.RecordOutcome(ctx, o)
}
