// Program istiod is Istio's control plane in one process, without a cluster.
//
// It reads Kubernetes objects and Istio configuration from folders of YAML and
// the mesh configuration from an IstioOperator, and serves Envoys as the
// real one does, because it is the real one: the code is Istio's, put together
// by its own test helper, which replaces only the Kubernetes API by a store in
// memory. Nothing is encrypted or authenticated: use it on loopback only.
//
//	istiod serve --listen 127.0.0.1:15010 --mesh install.yaml --dir DIR [--dir DIR ...] [--debug 127.0.0.1:8080]
//	istiod dump  --mesh install.yaml --dir DIR [--dir DIR ...] --nodes FILE|DIR --out DIR
//	istiod validate --mesh install.yaml --dir DIR [--dir DIR ...]
//
// Istio's own settings hold as in a cluster: with PILOT_ENABLE_AMBIENT=true in
// its environment it also serves waypoints, and dumps what a ztunnel gets.
//
// Exit codes: 0 fine, 1 validate found faults, 2 could not do it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"istio.io/istio/pilot/pkg/features"

	_ "github.com/meshpass/meshpass/e2e/istiod/settings"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFound):
		fmt.Fprintln(stderr, "istiod:", err)
		return 1
	case err != nil:
		fmt.Fprintln(stderr, "istiod:", err)
		return 2
	}
	return 0
}

func command(ctx context.Context, args []string, stderr io.Writer) error {
	if features.MetadataExchange || features.ALPNFilter {
		return errors.New("built without its settings: Istio would ask for filters that upstream's Envoy lacks")
	}
	opts, err := parseFlags(args, stderr)
	if err != nil {
		return err
	}
	quieten()
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	switch opts.command {
	case "dump":
		return dump(ctx, opts)
	case "validate":
		return validate(ctx, opts.source, os.Stdout)
	}
	return serve(ctx, opts, log)
}
