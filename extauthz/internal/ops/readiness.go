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

// Readiness answers /readyz and /livez. The zero value is not ready.
type Readiness struct {
	checks  SelfChecks
	sources Sources
	issuers func() []Issuer
	audit   func() status.Audit
	limits  func() Limits
	notes   []func() []string
	state   atomic.Int32
}

// SelfChecks show whether decisions hang.
type SelfChecks interface {
	Err() error         // names what hangs; nil: nothing does
	Describe() []string // lines for people
}

const (
	starting = iota
	serving
	stopping
)

var stateNames = [...]string{"not ready: starting", status.Ready, "not ready: stopping"}

// hangingName is the state while decisions hang.
const hangingName = "not ready: decisions hang"

// NewReadiness is not ready until [Readiness.SetServing]. Notes return lines for the end of the answer.
func NewReadiness(checks SelfChecks, sources Sources, issuers func() []Issuer, audit func() status.Audit, limits func() Limits, notes ...func() []string) *Readiness {
	return &Readiness{checks: checks, sources: sources, issuers: issuers, audit: audit, limits: limits, notes: notes}
}

// SetServing makes it ready: Checks are answered from here on, unless a stop has begun.
func (r *Readiness) SetServing() { r.state.CompareAndSwap(starting, serving) }

// SetStopping ends the readiness, for good.
func (r *Readiness) SetStopping() { r.state.Store(stopping) }

// State describes in words whether Checks are answered.
func (r *Readiness) State() string {
	state := r.state.Load()
	if state == serving && r.checks.Err() != nil {
		return hangingName
	}
	return stateNames[state]
}

// IsReady reports whether Checks are answered, and no stop has begun.
func (r *Readiness) IsReady() bool { return r.State() == status.Ready }

// serveLive answers /livez: 503 only if a restart helps, which is when decisions hang.
func (r *Readiness) serveLive(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("content-type", "text/plain; charset=utf-8")
	w.Header().Set("cache-control", "no-store")
	if err := r.checks.Err(); err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(w, "not alive: %s\n", err)
		return
	}
	fmt.Fprintln(w, "alive")
}

// ServeHTTP answers 200 or 503, and describes what is missing and what is active. A rejected change of
// the files is described, but a replica stays ready: every replica sees the same files, and the
// last good state still decides. The same is true for an audit trail that hangs, or a limit that
// is near: they are described with ?verbose, or if something is wrong with them.
func (r *Readiness) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	state := r.State()
	w.Header().Set("content-type", "text/plain; charset=utf-8")
	w.Header().Set("cache-control", "no-store")
	if state != status.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, state)
	issuers := r.issuers()
	for _, line := range r.describeMissing(issuers) {
		fmt.Fprintf(w, "missing: %s\n", line)
	}
	for _, name := range slices.Sorted(maps.Keys(r.sources)) {
		fmt.Fprint(w, describeSource(name, r.sources[name]))
		if Hangs(r.sources[name], time.Now()) {
			fmt.Fprintf(w, "%s: %s\n", name, HangsMessage)
		}
	}
	for _, issuer := range issuers {
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
		if trail.Chain != nil {
			fmt.Fprintf(w, "audit chain: %s\n", trail.Chain)
		}
	}
	for _, finding := range findings {
		fmt.Fprintf(w, "  %s\n", finding)
	}
	if verbose {
		for _, line := range r.checks.Describe() {
			fmt.Fprintln(w, line)
		}
	}
}

// describeMissing names what keeps it from being ready, and what a working replica has beside that.
func (r *Readiness) describeMissing(issuers []Issuer) (lines []string) {
	if err := r.checks.Err(); err != nil {
		lines = append(lines, strings.Split(err.Error(), "\n")...)
	}
	if len(issuers) > 0 && !slices.ContainsFunc(issuers, func(i Issuer) bool { return i.Keys > 0 }) {
		lines = append(lines, "keys: no issuer has one that may be used, so no token can be verified")
	}
	return lines
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
