// Package ops shows the authorizer to a platform: two probes, the metrics,
// the status and published keys, over plain HTTP on an address of its own.
// docs/operations.md lists the metrics, compared by a test, and the reaction to each alarm.
//
//	/livez     200 unless decisions hang, so that a restart helps
//	/readyz    200 from the first Check that could be answered until a stop begins
//	/metrics   Prometheus text
//	/status    what is active and why, as JSON, for meshpass status
//	/.well-known/jwks.json   public keys, of the issuers whose entries say so
//
// Nothing here takes part in a decision, and no secret is shown.
package ops

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/meshpass/meshpass/extauthz/internal/status"
)

// NewServer serves all paths of the package; the caller listens. Its bounds keep a
// stuck scraper from holding connections for ever.
func NewServer(ready *Readiness, metrics *Metrics, keys KeySets, report func() status.Report, log *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", ready.serveLive)
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
