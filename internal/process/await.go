package process

import (
	"context"
	"fmt"
	"net"
	"time"
)

const pollInterval = 25 * time.Millisecond

// AwaitReady polls ready until it returns nil, the program ends, or ctx ends. ctx must have a
// deadline. The error wraps the last error of ready.
func (p *Proc) AwaitReady(ctx context.Context, ready func(context.Context) error) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready (%w): %w; see %s", p.spec.Name, ctx.Err(), err, p.spec.Stderr)
		case <-tick.C:
		}
	}
}

// NewListeningCheck makes a condition for [Proc.AwaitReady]: a server accepts connections at an address, HOST:PORT.
func NewListeningCheck(address string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
