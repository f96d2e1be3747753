// Package service is the common part of the demo's three services. It uses Meshpass in two lines:
// [forward.Handler] keeps the token of the incoming request, and [forward.Transport] puts it on
// the outgoing requests. Any Go service can join the path in this way.
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

// NameHeader is the answer's header with the name of the service.
const NameHeader = "X-Served-By"

// IdentityHeader is the answer's header with the names of the request's headers that only Meshpass
// may write, without the token. It is "none" unless a forged header reached the service.
const IdentityHeader = "X-Saw-Identity-Headers"

func listIdentityHeaders(h http.Header) []string {
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

// Routes registers the paths of a service. inventory is the service that it may call.
type Routes func(mux *http.ServeMux, inventory *Upstream)

// Run is the main function of a service: it serves until SIGTERM or SIGINT, and returns the exit
// code.
func Run(name string, routes Routes) int {
	listen := flag.String("listen", "", "`address` to listen on, host:port")
	inventory := flag.String("inventory", "", "base `URL` of the inventory service")
	proxy := flag.String("proxy", "", "`URL` of the sidecar's HTTP proxy, through which calls go out")
	flag.Parse()
	if *listen == "" {
		fmt.Fprintf(os.Stderr, "%s: -listen is required, for example -listen 127.0.0.1:9080\n", name)
		return 2
	}
	upstream, err := newProxiedUpstream(*inventory, *proxy)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 2
	}
	mux := http.NewServeMux()
	routes(mux, upstream)
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil)).With("service", name)
	if err := serveUntilSignal(*listen, Handler(name, log, mux)); err != nil {
		log.Error("stopped", "error", err)
		return 1
	}
	return 0
}

// Handler names the service in every answer, logs one line for each request, and keeps the headers
// to pass on.
func Handler(name string, log *slog.Logger, next http.Handler) http.Handler {
	next = forward.Handler(keepIncomingHeader(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		log.Info("served", "method", r.Method, "path", r.URL.Path, "request_id", r.Header.Get("X-Request-Id"))
		w.Header().Set(NameHeader, name)
		w.Header().Set(IdentityHeader, strings.Join(listIdentityHeaders(r.Header), " "))
		next.ServeHTTP(w, r)
	})
}

func serveUntilSignal(address string, handler http.Handler) error {
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
