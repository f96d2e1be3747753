// Package service is what the demo's three services have in common, and nothing of Meshpass but
// one line each way: [forward.Handler] remembers the token of the incoming request and
// [forward.Transport] puts it on the outgoing ones. Any Go service joins the path so.
package service

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/shared/forward"
	"github.com/meshpass/meshpass/shared/identity"
)

// NameHeader tells which service answered.
const NameHeader = "X-Served-By"

// IdentityHeader tells which headers reached the service that only Meshpass may write, the token
// excepted: "none", unless somebody's forgery came through.
const IdentityHeader = "X-Saw-Identity-Headers"

func identityHeaders(h http.Header) []string {
	var seen []string
	for name := range h {
		if identity.IsReservedHeader(name) && name != identity.Header {
			seen = append(seen, name)
		}
	}
	if len(seen) == 0 {
		return []string{"none"}
	}
	return seen
}

// Routes registers a service's paths; inventory is the service that it may call.
type Routes func(mux *http.ServeMux, inventory *Upstream)

// Run is a service's main: it serves until SIGTERM or SIGINT and returns the exit code.
func Run(name string, routes Routes) int {
	listen := flag.String("listen", "", "`address` to listen on, host:port")
	inventory := flag.String("inventory", "", "base `URL` of the inventory service")
	proxy := flag.String("proxy", "", "`URL` of the sidecar's HTTP proxy, through which calls go out")
	flag.Parse()
	if *listen == "" {
		fmt.Fprintf(os.Stderr, "%s: -listen is required, for example -listen 127.0.0.1:9080\n", name)
		return 2
	}
	upstream, err := newUpstream(*inventory, *proxy)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	}
	mux := http.NewServeMux()
	routes(mux, upstream)
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", name)
	if err := serve(*listen, Handler(name, log, mux)); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	return 0
}

// Handler names the service in every answer, logs one line a request and keeps what is to be passed on.
func Handler(name string, log *slog.Logger, next http.Handler) http.Handler {
	next = forward.Handler(passOn(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Info("served", "method", r.Method, "path", r.URL.Path, "request_id", r.Header.Get("X-Request-Id"))
		w.Header().Set(NameHeader, name)
		w.Header().Set(IdentityHeader, strings.Join(identityHeaders(r.Header), " "))
		next.ServeHTTP(w, r)
	})
}

func serve(address string, handler http.Handler) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return server.Close()
}
