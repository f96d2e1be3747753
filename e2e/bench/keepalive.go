package bench

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/net/http2"
)

const (
	pingedConnections = 200
	pingInterval      = 5 * time.Second // the shortest that an authorizer admits
	pingRounds        = 3
)

// measureKeepalive returns the authorizer's processor time of one HTTP/2 PING, in microseconds: Envoy's connection_keepalive sends
// one on each connection in each interval. What the program costs without them is subtracted.
func (c *checkRig) measureKeepalive(ctx context.Context, r Round) (float64, error) {
	var idle []*client
	defer func() {
		for _, one := range idle {
			_ = one.close() // the measurement is over
		}
	}()
	for range pingedConnections {
		one, err := newClient(c.authorizer.address)
		if err != nil {
			return 0, err
		}
		idle = append(idle, one)
	}
	var cpu [2]time.Duration // without PINGs, with them
	for with := range cpu {
		before, err := cpuTime(c.authorizer.process.PID())
		if err != nil {
			return 0, err
		}
		for range pingRounds {
			r.Log("keepalive: waiting %v", pingInterval)
			select {
			case <-time.After(pingInterval + time.Second/10):
			case <-ctx.Done():
				return 0, ctx.Err()
			}
			if with == 0 {
				continue
			}
			for _, one := range idle {
				if err := one.ping(); err != nil {
					return 0, err
				}
			}
		}
		after, err := cpuTime(c.authorizer.process.PID())
		if err != nil {
			return 0, err
		}
		cpu[with] = after - before
	}
	return float64(cpu[1]-cpu[0]) / 1e3 / (pingRounds * pingedConnections), nil
}

// ping sends a PING and waits for its answer.
func (c *client) ping() error {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	c.writeFrame(http2.FramePing, 0, 0, make([]byte, 8))
	if err := c.writer.Flush(); err != nil {
		return err
	}
	for {
		f, err := c.readFrame()
		if err != nil {
			return err
		}
		if f.kind == http2.FramePing && f.flags.Has(http2.FlagPingAck) {
			return nil
		}
		if _, _, err := c.handleFrame(f); err != nil {
			return fmt.Errorf("in the place of the answer to a PING: %w", err)
		}
	}
}
