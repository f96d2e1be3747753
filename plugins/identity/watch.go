package main

import (
	"fmt"
	"log/slog"
	"runtime/debug"
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

	inForce atomic.Pointer[signer]

	// Only look uses these.
	paths []string
	files *reload.Value[*signer] // nil while nothing good can be made of them
	said  string                 // the error that was logged last
}

// startWatch returns when the first look is done, with a signer in force that
// signs or refuses.
func startWatch(file string, log *slog.Logger) *watch {
	w := &watch{file: file, log: log, load: load}
	w.look()
	go w.run()
	return w
}

// run ends with the gateway: Go never unloads a plugin.
func (w *watch) run() {
	for range time.Tick(interval) {
		w.look()
	}
}

// look brings what is in force up to date with the files. Where they stand is
// part of what the configuration says and may change with it.
func (w *watch) look() {
	defer w.survive()
	paths := watched(w.file)
	if w.files != nil && slices.Equal(paths, w.paths) {
		w.files.Poll()
		return
	}
	w.paths = paths
	var err error
	w.files, err = reload.New(paths, func() (*signer, error) { return w.load(w.file, w.log) }, w.report)
	if err != nil {
		w.report(nil, err)
		return
	}
	w.report(w.files.Get(), nil)
}

// report puts a signer in force, or says why there is no new one, once.
func (w *watch) report(s *signer, err error) {
	if err == nil {
		w.said = ""
		w.inForce.Store(s)
		w.log.Info("ready to sign", "file", w.file, "issuer", s.config.Issuer, "audience", s.config.Audience)
		return
	}
	if err.Error() == w.said {
		return
	}
	w.said = err.Error()
	if last := w.inForce.Load(); last != nil && last.broken == nil {
		w.log.Error("the files are refused; what was loaded before stays in force until they are mended", "file", w.file, "error", w.said)
		return
	}
	w.inForce.Store(refuseAll(err, w.log))
	w.log.Error("every request of an API with this plugin is refused until the cause is mended", "file", w.file, "error", w.said)
}

// survive is for a bug of ours: a panic outside of a request would end the
// gateway's process.
func (w *watch) survive() {
	cause := recover()
	if cause == nil {
		return
	}
	err := refuse(decision.NotConfigured, "a panic while the files were loaded: %v", cause)
	if err.Error() != w.said {
		w.log.Error("loading panicked", "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	}
	w.files = nil // its state is unknown: start anew
	w.report(nil, err)
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
