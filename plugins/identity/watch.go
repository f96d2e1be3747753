package main

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/internal/buildinfo"
	"github.com/meshpass/meshpass/internal/gateway/settings"
	"github.com/meshpass/meshpass/internal/logonce"
	"github.com/meshpass/meshpass/internal/reload"
	"github.com/meshpass/meshpass/plugins/identity/denial"
	"github.com/meshpass/meshpass/plugins/identity/metrics"
	"github.com/meshpass/meshpass/plugins/identity/panics"
	"github.com/meshpass/meshpass/plugins/identity/tykapi"
	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/revocation"
)

// interval is the time between two looks at the files: how soon a rotated key or a changed configuration
// is active.
const interval = time.Second

// filePatience is how long a look waits for a file. A file that hangs, as at a network mount whose
// server is away, is left alone: neither the gateway's start nor the other files wait for it.
const filePatience = 5 * time.Second

// The plugin's own goroutines, as logs and metrics name them.
const (
	filesGoroutine       = "files"
	metricsGoroutine     = "metrics"
	definitionsGoroutine = "definitions"
)

// watch keeps a signer active, and makes a new one when the configuration, or a file that it names, has
// changed. A source that cannot be loaded leaves its last good value active, each source on its own.
// Before all sources have one, every request is denied.
type watch struct {
	process
	file string
	make func(*parts, process) (*signer, error)

	patience time.Duration

	signer  atomic.Pointer[signer] // never nil
	address atomic.Pointer[string] // of the metrics, as far as the configuration can be read

	revocations revocation.History

	// Only checkFiles uses these.
	config  *reload.Value[*settings.Config]
	active  *parts // nil: no configuration was ever complete
	next    *parts // of a configuration that waits for the files that it names; nil: no configuration waits
	polling map[part]*sync.Mutex
	made    string           // version of the parts of the active signer
	faults  logonce.Messages // of the sources
	alarms  []string         // of the revocations, as logged last
	denied  string           // the error that every request is denied for
}

// newWatch denies every request until it has looked at the files.
func newWatch(file string, log *slog.Logger) *watch {
	w := &watch{
		file: file, make: newSigner, patience: filePatience, polling: map[part]*sync.Mutex{},
		process: process{log: log, meter: newMeter(), definitions: tykapi.NewFolder(log)},
	}
	w.config = followFiles(reload.Files(file), func() (*settings.Config, error) {
		c, err := readConfig(file)
		if err != nil {
			return nil, denial.New(decision.NotConfigured, "%w", err)
		}
		return c, nil
	})
	w.signer.Store(newBrokenSigner(denial.New(decision.NotConfigured, "nothing was loaded"), w.process))
	w.address.Store(new(string))
	return w
}

func newMeter() *metrics.Meter {
	names := metrics.Names{
		Hooks:      []string{tykapi.SignHook, tykapi.GuardHook},
		Goroutines: []string{filesGoroutine, metricsGoroutine, definitionsGoroutine},
	}
	for _, s := range sources {
		names.Sources = append(names.Sources, string(s))
	}
	return metrics.NewMeter(names)
}

// startWatch returns after the first look at the files and the definitions, with an active signer that
// signs or denies.
func startWatch(file string, log *slog.Logger) *watch {
	w := newWatch(file, log)
	w.checkFiles()
	definitions := w.newTask(definitionsGoroutine, w.checkDefinitions)
	definitions.Run()
	server := &metrics.Server{
		Address: func() string { return *w.address.Load() }, Text: w.metricsText,
		Goroutine: metricsGoroutine, CountPanic: w.meter.CountPanic, Log: log,
	}
	go panics.Repeat(definitions.Run, interval, sleep)
	go panics.Repeat(w.checkFiles, interval, sleep)
	go panics.Repeat(w.newTask(metricsGoroutine, server.Follow).Run, interval, sleep)
	return w
}

func (w *watch) newTask(goroutine string, step func()) panics.Task {
	return panics.Task{Name: goroutine, Step: step, Count: w.meter.CountPanic, Log: w.log}
}

func sleep(d time.Duration) bool {
	time.Sleep(d)
	return true
}

// checkFiles makes the present content of the files active. The configuration names them, and may name
// others when it changes. It reports whether nothing panicked.
func (w *watch) checkFiles() (ok bool) {
	ok = w.pollParts(map[part]bool{w.config: true})
	w.adoptConfig()
	all := map[part]bool{}
	for _, p := range []*parts{w.active, w.next} {
		for _, part := range p.bySource() {
			all[part] = true
		}
	}
	ok = w.pollParts(all) && ok
	return w.newTask(filesGoroutine, w.activateLoaded).Run() && ok
}

// pollParts looks at all these parts at the same time, but for those whose last look still hangs.
func (w *watch) pollParts(all map[part]bool) (ok bool) {
	var panicked atomic.Bool
	var group sync.WaitGroup
	for part := range all {
		polling := w.polling[part]
		if polling == nil {
			polling = new(sync.Mutex)
			w.polling[part] = polling
		}
		if !polling.TryLock() {
			continue
		}
		group.Add(1)
		go func() {
			defer group.Done()
			defer polling.Unlock()
			if !w.newTask(filesGoroutine, part.Poll).Run() {
				panicked.Store(true)
			}
		}()
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(w.patience):
	}
	return !panicked.Load()
}

// adoptConfig lets a changed configuration wait until all that it names is loaded.
func (w *watch) adoptConfig() {
	c := w.config.Get()
	if c == nil {
		return
	}
	w.address.Store(&c.Metrics) // also while the keys cannot be loaded: the metrics show that fault
	switch {
	case w.active != nil && w.active.config == c:
		w.next = nil
	case w.next == nil || w.next.config != c:
		w.next = followParts(c, w.active)
	}
}

// activateLoaded makes a signer of the parts that are loaded, and logs why others are not. If no signer
// can be made of a configuration, it waits, and the keys and revocations of the one before are followed.
func (w *watch) activateLoaded() {
	var unusable error
	if w.next != nil && w.next.isComplete() {
		if unusable = w.activateParts(w.next); unusable == nil {
			w.active, w.next = w.next, nil
		}
	}
	w.forgetUnused()
	faults := w.findFaults()
	if unusable != nil {
		faults[configSource] = unusable
	}
	if w.active != nil && w.active.contentVersion() != w.made {
		if err := w.activateParts(w.active); err != nil {
			faults[keysSource] = err
		}
	}
	w.reportFaults(faults)
}

// activateParts makes a signer of the parts, which are complete, and makes it the active one.
func (w *watch) activateParts(p *parts) error {
	s, err := w.make(p, w.process)
	if err != nil {
		return err
	}
	w.made, w.denied = p.contentVersion(), ""
	w.observeRevocations(s)
	w.meter.Mapped.Follow(s.config.MappedClaims())
	w.signer.Store(s)
	w.log.Info("ready to sign", "file", w.file, "issuer", s.config.Issuer, "audience", s.config.Audience)
	return nil
}

// observeRevocations logs what no honest writer does without a cause: a list that goes back, and
// entries that vanish before they expire. The list is active all the same.
func (w *watch) observeRevocations(s *signer) {
	w.revocations.Observe(s.revoked, s.now())
	alarms := w.revocations.Alarms(s.now())
	for _, alarm := range alarms {
		if !slices.Contains(w.alarms, alarm) {
			w.log.Error("revocations: "+alarm, "file", s.config.Revocation.File)
		}
	}
	w.alarms = alarms
}

// forgetUnused drops the locks of parts that are not followed any more.
func (w *watch) forgetUnused() {
	used := map[part]bool{w.config: true}
	for _, p := range []*parts{w.active, w.next} {
		for _, part := range p.bySource() {
			used[part] = true
		}
	}
	for part := range w.polling {
		if !used[part] {
			delete(w.polling, part)
		}
	}
}

// findFaults gives why sources are not what their files contain now.
func (w *watch) findFaults() map[source]error {
	faults := map[source]error{}
	for s, part := range w.active.bySource() {
		faults[s] = findFault(part)
	}
	for s, part := range w.next.bySource() {
		if err := findFault(part); err != nil {
			faults[s] = err
		}
	}
	faults[configSource] = w.config.Err()
	if faults[configSource] != nil || w.next == nil {
		return faults
	}
	for _, s := range sources {
		if part := w.next.bySource()[s]; part != nil && part.Since().IsZero() {
			faults[configSource] = fmt.Errorf("it waits for the source %s", s)
			break
		}
	}
	return faults
}

// reportFaults logs each fault once, and shows all of them in the metrics.
func (w *watch) reportFaults(faults map[source]error) {
	for _, s := range sources {
		err := faults[s]
		text := ""
		if err != nil {
			text = err.Error()
		}
		w.updateMetrics(s, err)
		if !w.faults.IsNew(string(s), text) {
			continue
		}
		w.meter.Source(string(s)).Failures.Add(1)
		if w.signer.Load().broken == nil {
			w.log.Error("a source is rejected; what was loaded from it before stays active until it is fixed", "file", w.file, "source", s, "error", text)
		}
	}
	if w.signer.Load().broken != nil {
		w.denyAll(faults)
	}
}

func (w *watch) updateMetrics(s source, err error) {
	m := w.meter.Source(string(s))
	m.Rejected.Store(err != nil)
	part := w.active.bySource()[s]
	if next := w.next.bySource()[s]; part == nil {
		part = next
	}
	if s == configSource || part == nil { // a source without files of its own is part of the configuration
		part = w.config
	}
	m.Looked.Store(unixMilli(part.Looked()))
	if w.active != nil {
		m.Loaded.Store(unixMilli(part.Since()))
	}
}

// unixMilli gives milliseconds since 1970; 0 for the zero time.
func unixMilli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// denyAll denies every request for the first fault.
func (w *watch) denyAll(faults map[source]error) {
	cause := faults[configSource]
	for _, s := range sources {
		if err := faults[s]; err != nil && (s != configSource || w.config.Err() != nil) {
			cause = err
			break
		}
	}
	if cause == nil || cause.Error() == w.denied {
		return
	}
	w.denied = cause.Error()
	w.signer.Store(newBrokenSigner(cause, w.process))
	w.log.Error("every request of an API with this plugin is denied until the cause is fixed", "file", w.file, "error", w.denied)
}

// checkDefinitions checks the files of API definitions by the active configuration.
func (w *watch) checkDefinitions() {
	var c *settings.Config
	if s := w.signer.Load(); s.broken == nil {
		c = s.config
	}
	w.definitions.Check(c)
}

// metricsText is the answer to a scrape.
func (w *watch) metricsText() []byte {
	s, report := w.signer.Load(), w.definitions.Report()
	_, _, older := w.revocations.RolledBack()
	snapshot := metrics.Snapshot{
		Now: time.Now(), Ready: s.checkReady() == nil, Build: buildinfo.StampedBuild(),
		Audit: auditTrails.sumStats(), LogLines: logLines().Stats(),
		RevocationsOlder: older, RevocationsVanished: w.revocations.VanishedCount(),
		DefinitionsVisible: report.Visible,
	}
	for _, cause := range tykapi.HookCauses {
		snapshot.UnguardedAPIs = append(snapshot.UnguardedAPIs, metrics.LabelledCount{Label: string(cause), Count: report.Count[cause]})
	}
	if s.broken == nil {
		current, _ := s.keys.Current(s.now()) // nil: no key signs
		snapshot.Active = &metrics.ActiveConfig{Generation: s.config.Generation, Keys: s.keys.Keys(), CurrentKey: current}
	}
	return w.meter.Text(snapshot)
}
