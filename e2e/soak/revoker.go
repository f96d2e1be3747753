package soak

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/meshpass/meshpass/e2e/pace"
)

// revoker adds revocations of other users to the list in Redis. While Redis is down, an addition fails, as it does for an
// operator.
type revoker struct {
	address string
	added   atomic.Int64
}

func (r *revoker) revokeUntilDone(ctx context.Context) error {
	return pace.EverySecond(ctx, func(ctx context.Context) error {
		subject := fmt.Sprintf("key:leaver-%d", r.added.Load())
		if _, err := runMeshpass(ctx, "revoke", "sub", "--redis", r.address, "--issuer", issuer, "--for", "10s", subject); err == nil {
			r.added.Add(1)
		}
		return nil
	})
}
