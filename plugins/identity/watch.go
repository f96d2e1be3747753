package main

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/token"
)

// interval between two looks at the files: how soon a rotated key or a changed
// configuration is active.
const interval = time.Second

// patience is how long a look waits for a file. One that hangs, as at a network
// mount whose server is away, is left alone: neither the gateway's start nor the
// other files wait for it.
const patience = 5 * time.Second

// watch keeps a signer active, and makes a new one when the configuration or what it
// names has changed. What cannot be loaded leaves the last good one active, source by
// source; before there is any, every request is refused.
type watch struct {
	file string
	log  *slog.Logger
	make func(*parts, *slog.Logger) (*signer, error)

	meter       *meter
	definitions *definitions
	patience    time.Duration

	inForce atomic.Pointer[signer] // never nil
	metrics atomic.Pointer[string] // the address that the file names, as far as it can be read

	// Only look uses these.
	config  *reload.Value[*config]
	active  *parts // nil: none has ever been complete
	next    *parts // of a configuration that waits for what it names; nil: none waits
	busy    map[part]*sync.Mutex
	made    string            // version of the parts of which the active signer is made
	said    map[source]string // the errors that were logged last
	refused string            // the one for which every request is refused
}

// newWatch refuses every request until it has looked at the files.
func newWatch(file string, log *slog.Logger) *watch {
	w := &watch{file: file, log: log, make: assemble, meter: newMeter(), definitions: &definitions{log: log}, patience: patience, busy: map[part]*sync.Mutex{}, said: map[source]string{}}
	w.config = follow(reload.Files(file), func() (*config, error) {
		c, err := readConfig(file)
		if err != nil {
			return nil, refuse(decision.NotConfigured, "%w", err)
		}
		return c, nil
	})
	w.force(refuseAll(refuse(decision.NotConfigured, "nothing was loaded"), log))
	w.metrics.Store(new(string))
	return w
}

// startWatch returns when the first look is done, with an active signer that signs or
// refuses.
func startWatch(file string, log *slog.Logger) *watch {
	w := newWatch(file, log)
	w.look()
	w.followDefinitions(sleep)
	go forever(w.look, sleep)
	served := &exposition{address: func() string { return *w.metrics.Load() }, text: w.text, meter: w.meter, log: log}
	go work{metricsGoroutine, served.look, w.meter, log}.forever(sleep)
	return w
}

// look brings what is active up to date with the files. Where they are is part of
// what the configuration says and may change with it. It reports whether nothing
// panicked.
func (w *watch) look() (ok bool) {
	ok = w.poll(map[part]bool{w.config: true})
	w.adopt()
	all := map[part]bool{}
	for _, p := range []*parts{w.active, w.next} {
		for _, part := range p.all() {
			all[part] = true
		}
	}
	ok = w.poll(all) && ok
	return work{filesGoroutine, w.settle, w.meter, w.log}.once() && ok
}

// poll looks at all parts at the same time, but for those whose last look hangs.
func (w *watch) poll(all map[part]bool) (ok bool) {
	var panicked atomic.Bool
	var polling sync.WaitGroup
	for part := range all {
		busy := w.busy[part]
		if busy == nil {
			busy = new(sync.Mutex)
			w.busy[part] = busy
		}
		if !busy.TryLock() {
			continue
		}
		polling.Add(1)
		go func() {
			defer polling.Done()
			defer busy.Unlock()
			if !(work{filesGoroutine, part.Poll, w.meter, w.log}).once() {
				panicked.Store(true)
			}
		}()
	}
	ended := make(chan struct{})
	go func() { polling.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(w.patience):
	}
	return !panicked.Load()
}

// adopt has a changed configuration wait until all that it names is loaded.
func (w *watch) adopt() {
	c := w.config.Get()
	if c == nil {
		return
	}
	w.metrics.Store(&c.Metrics) // before the keys are right: what is wrong with them is to be seen there
	switch {
	case w.active != nil && w.active.config == c:
		w.next = nil
	case w.next == nil || w.next.config != c:
		w.next = partsOf(c, w.active)
	}
}

// settle makes a signer of what is loaded, and logs what is not. A configuration of
// which none can be made waits: keys and revocations of the one before stay followed.
func (w *watch) settle() {
	var unfit error
	if w.next != nil && w.next.complete() {
		if unfit = w.activate(w.next); unfit == nil {
			w.active, w.next = w.next, nil
		}
	}
	w.forget()
	faults := w.faults()
	if unfit != nil {
		faults[configSource] = unfit
	}
	if w.active != nil && w.active.version() != w.made {
		if err := w.activate(w.active); err != nil {
			faults[keysSource] = err
		}
	}
	w.tell(faults)
}

// activate makes a signer of the parts, which are complete, and has it sign.
func (w *watch) activate(p *parts) error {
	s, err := w.make(p, w.log)
	if err != nil {
		return err
	}
	w.made, w.refused = p.version(), ""
	w.meter.followRevocations(s, w.log)
	w.force(s)
	w.log.Info("ready to sign", "file", w.file, "issuer", s.config.Issuer, "audience", s.config.Audience)
	return nil
}

// forget drops what is not followed any more.
func (w *watch) forget() {
	used := map[part]bool{w.config: true}
	for _, p := range []*parts{w.active, w.next} {
		for _, part := range p.all() {
			used[part] = true
		}
	}
	for part := range w.busy {
		if !used[part] {
			delete(w.busy, part)
		}
	}
}

// faults are why sources are not what their files hold now.
func (w *watch) faults() map[source]error {
	faults := map[source]error{}
	for s, part := range w.active.all() {
		faults[s] = fault(part)
	}
	for s, part := range w.next.all() {
		if err := fault(part); err != nil {
			faults[s] = err
		}
	}
	faults[configSource] = w.config.Err()
	if faults[configSource] != nil || w.next == nil {
		return faults
	}
	for _, s := range sources {
		if part := w.next.all()[s]; part != nil && part.Since().IsZero() {
			faults[configSource] = fmt.Errorf("it waits for the source %s", s)
			break
		}
	}
	return faults
}

// tell logs each fault once, and shows all of them in the metrics.
func (w *watch) tell(faults map[source]error) {
	for _, s := range sources {
		err := faults[s]
		text := ""
		if err != nil {
			text = err.Error()
		}
		w.note(s, err)
		if text == w.said[s] {
			continue
		}
		w.said[s] = text
		if err == nil {
			continue
		}
		w.meter.sources[s].failures.Add(1)
		if w.inForce.Load().broken == nil {
			w.log.Error("a source is rejected; what was loaded from it before stays active until it is fixed", "file", w.file, "source", s, "error", text)
		}
	}
	if w.inForce.Load().broken != nil {
		w.refuseAll(faults)
	}
}

// note brings the metrics of a source up to date.
func (w *watch) note(s source, err error) {
	m := w.meter.sources[s]
	m.refused.Store(err != nil)
	part := w.active.all()[s]
	if next := w.next.all()[s]; part == nil {
		part = next
	}
	if s == configSource || part == nil { // without files of its own it is part of the configuration
		part = w.config
	}
	m.looked.Store(millis(part.Looked()))
	if w.active != nil {
		m.loaded.Store(millis(part.Since()))
	}
}

// millis are milliseconds since 1970; 0 for the zero time.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// refuseAll refuses every request for the first fault.
func (w *watch) refuseAll(faults map[source]error) {
	cause := faults[configSource]
	for _, s := range sources {
		if err := faults[s]; err != nil && (s != configSource || w.config.Err() != nil) {
			cause = err
			break
		}
	}
	if cause == nil || cause.Error() == w.refused {
		return
	}
	w.refused = cause.Error()
	w.force(refuseAll(cause, w.log))
	w.log.Error("every request of an API with this plugin is refused until the cause is fixed", "file", w.file, "error", w.refused)
}

func (w *watch) force(s *signer) {
	s.meter, s.definitions = w.meter, w.definitions
	if s.broken == nil {
		w.meter.mapped.follow(s.config)
	}
	w.inForce.Store(s)
}

// refuseAll is the signer for a gateway without a usable configuration.
func refuseAll(err error, log *slog.Logger) *signer {
	if token.ReasonOf(err) == decision.Panic { // no reason of ours, such as a file that changes just now
		err = refuse(decision.NotConfigured, "%w", err)
	}
	s := newSigner(log)
	s.broken = err
	return s
}
