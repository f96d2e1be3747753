package main

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net"
	"time"
)

const pollInterval = 300 * time.Millisecond

// serve answers Envoys until ctx ends. When a file changes it starts the
// control plane afresh, as a restarted istiod would: Envoys keep what they
// have, connect again by themselves and get the new state whole. This holds
// for every kind of object and for the mesh configuration.
func serve(ctx context.Context, o options, log *slog.Logger) error {
	files, err := o.source.load()
	if err != nil {
		return err
	}
	m, err := parse(files)
	if err != nil {
		return err
	}
	w := &watch{source: o.source, seen: digest(files), log: log}
	for ctx.Err() == nil {
		if m, err = serveUntilChange(ctx, o, m, w); err != nil {
			return err
		}
	}
	return nil
}

// serveUntilChange returns what to serve next.
func serveUntilChange(ctx context.Context, o options, m *manifests, w *watch) (*manifests, error) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	next := make(chan *manifests, 1)
	go func() {
		next <- w.change(ctx)
		end()
	}()
	err := control(ctx, o, m, func(at net.Addr) error {
		w.log.Info("serving", "address", at.String(), "objects", len(m.objects), "configs", len(m.configs))
		return nil
	})
	end()
	return <-next, err
}

// watch notices changes by content. Polling, rather than inotify, sees the
// symlink swap of a mounted ConfigMap and needs no rule for editors that
// write by renaming.
type watch struct {
	source source
	seen   [sha256.Size]byte
	fault  string // the last one logged
	log    *slog.Logger
}

// change waits for a new state that parses, or returns nil when ctx ends.
// A state that does not parse is logged once and waited out: it may be half written.
func (w *watch) change(ctx context.Context) *manifests {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if m := w.look(); m != nil {
				return m
			}
		}
	}
}

func (w *watch) look() *manifests {
	files, err := w.source.load()
	if err == nil && digest(files) == w.seen {
		return nil
	}
	var m *manifests
	if err == nil {
		m, err = parse(files)
	}
	if err != nil {
		w.report(err)
		return nil
	}
	w.seen, w.fault = digest(files), ""
	return m
}

func (w *watch) report(err error) {
	if err.Error() != w.fault {
		w.fault = err.Error()
		w.log.Error("change refused, the last good state stays", "error", err)
	}
}
