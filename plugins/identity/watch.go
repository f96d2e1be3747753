package main

import (
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/shared/decision"
	"github.com/meshpass/meshpass/shared/reload"
	"github.com/meshpass/meshpass/shared/token"
)

// interval between two looks at the files: how soon a rotated key or a changed
// configuration is in force.
const interval = time.Second

// watch keeps a signer in force, and makes a new one when the configuration or
// what it names has changed. A signer that cannot be made leaves the last good
// one in force; before there is any, every request is refused.
type watch struct {
	file string
	log  *slog.Logger
	load func(file string, log *slog.Logger) (*signer, error)

	meter *meter

	inForce atomic.Pointer[signer] // never nil
	metrics atomic.Pointer[string] // the address that the file names, as far as it can be read

	// Only look uses these.
	paths []string
	files *reload.Value[*signer] // nil while nothing good can be made of them
	said  string                 // the error that was logged last
}

// newWatch refuses every request until it has looked at the files.
func newWatch(file string, log *slog.Logger) *watch {
	w := &watch{file: file, log: log, load: load, meter: newMeter()}
	w.force(refuseAll(refuse(decision.NotConfigured, "nothing was loaded"), log))
	w.metrics.Store(new(string))
	return w
}

// startWatch returns when the first look is done, with a signer in force that
// signs or refuses.
func startWatch(file string, log *slog.Logger) *watch {
	w := newWatch(file, log)
	files := work{filesGoroutine, w.look, w.meter, log}
	files.once()
	go files.forever(sleep)
	served := &exposition{address: func() string { return *w.metrics.Load() }, text: w.text, meter: w.meter, log: log}
	go work{metricsGoroutine, served.look, w.meter, log}.forever(sleep)
	return w
}

// look brings what is in force up to date with the files. Where they stand is
// part of what the configuration says and may change with it.
func (w *watch) look() {
	files := w.files
	w.files = nil // after a panic its state is unknown: start anew
	paths := w.watched()
	if files != nil && slices.Equal(paths, w.paths) {
		files.Poll()
		w.files = files
		return
	}
	w.paths = paths
	files, err := reload.New(paths, func() (*signer, error) { return w.load(w.file, w.log) }, w.report)
	if err != nil {
		w.report(nil, err)
		return
	}
	w.report(files.Get(), nil)
	w.files = files
}

// watched are the files and folders of which a signer is made. A configuration
// that cannot be read names none but itself.
func (w *watch) watched() []string {
	c, err := readConfig(w.file)
	if err != nil {
		return []string{w.file}
	}
	w.metrics.Store(&c.Metrics) // before the keys are right: what is wrong with them is to be seen there
	paths := []string{w.file, c.Keys.Dir, c.SecretFile}
	if c.Revocation.File != "" {
		paths = append(paths, c.Revocation.File)
	}
	return append(paths, c.edgePaths()...)
}

// report puts a signer in force, or says why there is no new one, once.
func (w *watch) report(s *signer, err error) {
	if err == nil {
		w.said = ""
		w.meter.reloaded(time.Now())
		w.meter.followRevocations(s, w.log)
		w.force(s)
		w.log.Info("ready to sign", "file", w.file, "issuer", s.config.Issuer, "audience", s.config.Audience)
		return
	}
	if err.Error() == w.said {
		return
	}
	w.said = err.Error()
	w.meter.refused(err)
	if w.inForce.Load().broken == nil {
		w.log.Error("the files are refused; what was loaded before stays in force until they are mended", "file", w.file, "error", w.said)
		return
	}
	w.force(refuseAll(err, w.log))
	w.log.Error("every request of an API with this plugin is refused until the cause is mended", "file", w.file, "error", w.said)
}

func (w *watch) force(s *signer) {
	s.meter = w.meter
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
