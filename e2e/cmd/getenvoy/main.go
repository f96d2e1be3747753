// Command getenvoy makes sure that there is an Envoy. It prints which one is used, and downloads the
// pinned version only if there is no other.
//
//	getenvoy BINDIR
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshpass/meshpass/e2e/envoy"
)

func main() { os.Exit(run()) }

func run() int {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: getenvoy BINDIR")
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path, err := ensureEnvoy(ctx, os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "getenvoy:", err)
		return 2
	}
	fmt.Println("envoy: using", path)
	return 0
}

func ensureEnvoy(ctx context.Context, binDir string) (string, error) {
	path, err := envoy.Find(binDir)
	if !errors.Is(err, envoy.ErrNotFound) {
		return path, err
	}
	if err := envoy.Fetch(ctx, binDir, os.Stdout); err != nil {
		return "", err
	}
	return envoy.Find(binDir)
}
