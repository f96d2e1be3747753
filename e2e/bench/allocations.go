package bench

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/meshpass/meshpass/shared/keyset"
)

// checksCounted is how many Checks the allocations are counted over: what the program does beside them does not matter then.
const checksCounted = 20_000

// Allocations are the objects that the whole program puts on its heap for one Check: the transport, the decision, the record and
// the metrics.
type Allocations struct {
	Remembered float64 // of a Check with a token that the cache has
	Fresh      float64 // of a Check with a new EdDSA token
}

// CountAllocations starts an authorizer with the shipped defaults and counts them.
func CountAllocations(ctx context.Context) (found Allocations, err error) {
	dir, err := os.MkdirTemp("", "meshpass-bench-")
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	a, err := startAuthorizer(ctx, Round{}, dir, anyCPU, nil)
	if err != nil {
		return found, err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	remembered, err := a.newMessages(keyset.EdDSA, 1)
	if err != nil {
		return found, err
	}
	if _, err := a.load(time.Second, inFlightMax, alwaysSend(remembered[0])); err != nil { // fills the pools
		return found, err
	}
	if found.Remembered, err = a.countAllocationsOf(ctx, checksCounted, alwaysSend(remembered[0])); err != nil {
		return found, err
	}
	fresh, err := a.newMessages(keyset.EdDSA, checksCounted/4)
	if err != nil {
		return found, err
	}
	found.Fresh, err = a.countAllocationsOf(ctx, len(fresh), takeTurns(fresh))
	return found, err
}

// countAllocationsOf sends Checks and returns the allocations of one.
func (a *authorizer) countAllocationsOf(ctx context.Context, count int, next func() []byte) (float64, error) {
	before, err := a.countAllocations(ctx)
	if err != nil {
		return 0, err
	}
	sent := 0
	got, err := a.load(time.Minute, inFlightCPU, func() []byte {
		if sent == count {
			return nil
		}
		sent++
		return next()
	})
	if err != nil {
		return 0, err
	}
	after, err := a.countAllocations(ctx)
	return (after - before) / float64(got.answers), err
}
