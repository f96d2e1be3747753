package kind

import (
	"context"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// volumeBound is how long a changed Secret or ConfigMap may take to reach a pod, with a margin.
const volumeBound = 3 * time.Minute

// order is a request that both hops decide.
var order = scenarios.Send{To: "gateway", Method: "GET", Path: "/jwt/tenants/acme/orders/1001", As: "alice"}

// sendLoad sends order from outside the mesh for that time. Its rate leaves the cluster room for other work.
func (e *Environment) sendLoad(ctx context.Context, length time.Duration) (sender.Tally, error) {
	credential, err := e.authorizationHeader(ctx, order.As)
	if err != nil {
		return sender.Tally{}, err
	}
	l := sender.Load{Workers: 4, Pause: 200 * time.Millisecond, For: length}
	l.Message = sender.Message{Method: order.Method, URL: east.url() + order.Path, Header: map[string][]string{"Authorization": {credential}}}
	var t sender.Tally
	err = e.runInPod(ctx, client, "load", l, &t)
	return t, err
}

// changeUnderLoad sends order for that time while change runs, and returns the answers.
func (e *Environment) changeUnderLoad(ctx context.Context, length time.Duration, change func(context.Context) error) (sender.Tally, error) {
	if _, err := e.authorizationHeader(ctx, order.As); err != nil { // before the change starts
		return sender.Tally{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan error, 1)
	go func() {
		err := change(ctx)
		changed <- err // first, so that the reason is available when the load is interrupted
		if err != nil {
			cancel()
		}
	}()
	tally, err := e.sendLoad(ctx, length)
	select {
	case problem := <-changed:
		if problem != nil {
			err = problem
		}
	default:
		if err == nil {
			err = fmt.Errorf("the change took longer than the %v of load", length)
		}
	}
	return tally, err
}

// describeLost lists the problems of a load whose requests must all be answered with 200.
func describeLost(t sender.Tally) []string {
	if t.Sent() == 0 {
		return []string{"nothing was sent"}
	}
	if n := t.Lost(); n > 0 {
		return []string{fmt.Sprintf("%d of %d requests were not answered with 200: %v", n, t.Sent(), t.All)}
	}
	return nil
}
