package envoy

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// ErrRejected means that an Envoy refused a part of its configuration and
// serves, if at all, without it.
var ErrRejected = errors.New("envoy refused its configuration")

// Check returns an error if the Envoy has ended or refused any configuration
// since it started.
func (p *Proc) Check(ctx context.Context) error {
	if err := p.Err(); err != nil {
		return err
	}
	if err := p.findRejection(); err != nil {
		return err
	}
	stats, err := p.Stats(ctx, `(\.update_rejected|\.listener_create_failure)$`)
	if err != nil {
		return err
	}
	if len(stats) == 0 {
		return fmt.Errorf("%s: Envoy does not count refused updates: is it one?", p.workload.Name)
	}
	for name, value := range stats {
		if value > 0 {
			return fmt.Errorf("%s: %w: %s is %v", p.workload.Name, ErrRejected, name, value)
		}
	}
	return nil
}

// findRejection is nil as long as the log names no refusal.
func (p *Proc) findRejection() error {
	if entries := p.readRejections(); len(entries) > 0 {
		return fmt.Errorf("%s: %w: %s", p.workload.Name, ErrRejected, strings.Join(entries, "\n"))
	}
	return nil
}

// checkReady is nil once everything serves. /ready alone is not enough: it does not
// wait for what came after the first configuration and still lacks a
// certificate, endpoints or routes, which Envoy calls warming.
func (p *Proc) checkReady(ctx context.Context) error {
	if _, err := p.getAdmin(ctx, "/ready"); err != nil {
		return errors.Join(err, p.findRejection())
	}
	stats, err := p.Stats(ctx, `^(listener_manager\.total_listeners|cluster_manager\.warming_clusters)`)
	if err != nil {
		return err
	}
	active := stats["listener_manager.total_listeners_active"]
	listeners, clusters := stats["listener_manager.total_listeners_warming"], stats["cluster_manager.warming_clusters"]
	if active == 0 || listeners > 0 || clusters > 0 {
		return fmt.Errorf("%v listeners serve, %v listeners and %v clusters are warming", active, listeners, clusters)
	}
	return p.Check(ctx)
}
