// Package ops is what a platform sees of the authorizer: two probes, the metrics,
// the status and published keys, over plain HTTP on an address of its own.
// docs/operations.md lists the metrics and says what to do when one alarms.
//
//	/livez     200 while the process answers at all
//	/readyz    200 from the first Check that could be answered until a stop begins
//	/metrics   Prometheus text
//	/status    what is in force and why, as JSON: what meshpass status asks for
//	/.well-known/jwks.json   public keys, of the issuers whose entries say so
//
// Nothing here takes part in a decision, and nothing secret is shown.
package ops

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// Source is something made from files that may change, as its reader sees it.
type Source interface {
	Since() time.Time // when the value in force was made
	Err() error       // why what the files hold now is not in force; nil: it is

	// Looked says when the last look at the files came to its end.
	Looked() time.Time
}

// hangs is far longer than a look and the pause before the next one take together.
const hangs = 15 * time.Second

// HangsMessage says what is the matter with a source that hangs.
const HangsMessage = "the files are not looked at any more: reading one of them hangs, as at a network mount whose server is away; no change takes effect"

// Hangs reports whether a look at the files has not come to its end in time.
func Hangs(s Source, now time.Time) bool { return now.Sub(s.Looked()) > hangs }

// Sources are named as logs, readiness and metrics name them.
type Sources map[string]Source

// NewServer serves all of these; the caller listens. Its bounds keep a
// stuck scraper from holding connections for ever.
func NewServer(ready *Readiness, metrics *Metrics, keys KeySets, report func() status.Report, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.Handle("GET /readyz", ready)
	mux.Handle("GET /metrics", metrics.Handler())
	mux.Handle("GET /.well-known/jwks.json", keys)
	mux.Handle("GET "+status.Path, status.Handler(report))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
