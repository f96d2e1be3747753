package ops

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Readiness answers /readyz. The zero value is not ready.
type Readiness struct {
	sources Sources
	issuers func() []Issuer
	audit   func() status.Audit
	limits  func() Limits
	notes   []func() []string
	state   atomic.Int32
}

const (
	starting = iota
	serving
	stopping
)

var stateNames = [...]string{"not ready: starting", status.Ready, "not ready: stopping"}

// NewReadiness is not ready until [Readiness.SetServing]. Notes return lines for the end of the answer.
func NewReadiness(sources Sources, issuers func() []Issuer, audit func() status.Audit, limits func() Limits, notes ...func() []string) *Readiness {
	return &Readiness{sources: sources, issuers: issuers, audit: audit, limits: limits, notes: notes}
}

// SetServing makes it ready: Checks are answered from here on, unless a stop has begun.
func (r *Readiness) SetServing() { r.state.CompareAndSwap(starting, serving) }

// SetStopping ends the readiness, for good.
func (r *Readiness) SetStopping() { r.state.Store(stopping) }

// State describes in words whether Checks are answered.
func (r *Readiness) State() string { return stateNames[r.state.Load()] }

// ServeHTTP answers 200 or 503, and describes what is active. A rejected change of
// the files is described, but a replica stays ready: every replica sees the same files, and the
// last good state still decides. The same is true for an audit trail that hangs, or a limit that
// is near: they are described with ?verbose, or if something is wrong with them.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	state := r.state.Load()
	w.Header().Set("content-type", "text/plain; charset=utf-8")
	w.Header().Set("cache-control", "no-store")
	if state != serving {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, stateNames[state])
	for _, name := range slices.Sorted(maps.Keys(r.sources)) {
		fmt.Fprint(w, describeSource(name, r.sources[name]))
		if Hangs(r.sources[name], time.Now()) {
			fmt.Fprintf(w, "%s: %s\n", name, HangsMessage)
		}
	}
	for _, issuer := range r.issuers() {
		fmt.Fprint(w, issuer.describe())
	}
	for _, notes := range r.notes {
		for _, note := range notes() {
			fmt.Fprintln(w, note)
		}
	}
	verbose := request.URL.Query().Has("verbose")
	for _, line := range r.limits().describe(verbose) {
		fmt.Fprintln(w, line)
	}
	trail := r.audit()
	findings := trail.Findings()
	if verbose || len(findings) > 0 {
		fmt.Fprintf(w, "audit: %s\n", trail)
	}
	for _, finding := range findings {
		fmt.Fprintf(w, "  %s\n", finding)
	}
}

func describeSource(name string, source Source) string {
	active := fmt.Sprintf("%s: active since %s", name, formatTime(source.Since()))
	err := source.Err()
	if err == nil {
		return active + "\n"
	}
	problems := strings.ReplaceAll(err.Error(), "\n", "\n  ")
	return fmt.Sprintf("%s; what should replace it is rejected:\n  %s\n", active, problems)
}
