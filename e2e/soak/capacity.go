package soak

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

const (
	capacityTime = 8 * time.Second
	loadShare    = 0.7 // of the capacity
)

// measureCapacity returns how many requests of a stream the mesh answers in a second, if all senders send one after another.
func measureCapacity(ctx context.Context, mesh *localmesh.Mesh, s stream) (float64, error) {
	began := time.Now()
	ctx, cancel := context.WithDeadline(ctx, began.Add(capacityTime))
	defer cancel()
	var answered atomic.Int64
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for ctx.Err() == nil {
				if s.sendOnce(context.WithoutCancel(ctx), mesh, 0) == s.want {
					answered.Add(1)
				}
			}
		})
	}
	all.Wait()
	capacity := float64(answered.Load()) / time.Since(began).Seconds()
	if capacity == 0 {
		return 0, fmt.Errorf("the capacity cannot be measured: no request was answered with %s", s.want)
	}
	return capacity, nil
}
