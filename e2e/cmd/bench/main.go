// Command bench measures the cost of the plugin: requests per second through one Tyk gateway to a plain
// upstream, without a plugin, with one that does nothing, and with ours. The APIs are the same in all
// else. Rounds alternate, so that all have the same load of the machine.
//
// The clients run on the same machine and take a part of it. So compare ratios, not rates.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
)

func main() { os.Exit(run()) }

func run() int {
	rounds := flag.Int("rounds", 3, "rounds of each API")
	length := flag.Duration("round", 3*time.Second, "length of a round")
	clients := flag.Int("clients", 8, "requests in flight at any time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := runBenchmark(ctx, *rounds, *length, *clients); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	return 0
}

func runBenchmark(ctx context.Context, rounds int, length time.Duration, clients int) error {
	upstream, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	mesh, err := localmesh.Start(ctx, localmesh.Options{Prepare: addAPIs(upstream)})
	if err != nil {
		return err
	}
	err = measureAPIs(ctx, mesh, rounds, length, clients)
	if closeErr := mesh.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		return mesh.RemoveDir()
	}
	return fmt.Errorf("%w (logs: %s)", err, mesh.Dir())
}

func measureAPIs(ctx context.Context, mesh *localmesh.Mesh, rounds int, length time.Duration, clients int) error {
	key, err := mesh.CreateKey(ctx, session)
	if err != nil {
		return err
	}
	fmt.Printf("requests per second through Tyk, %d clients, %d rounds of %v each\n", clients, rounds, length)
	rates := map[string][]float64{}
	for range rounds {
		for _, api := range apis {
			l := load{url: mesh.GatewayURL() + api.listenPath(), authorization: key, clients: clients}
			rate, err := l.requestsPerSecond(ctx, length)
			if err != nil {
				return fmt.Errorf("%s: %w", api.name, err)
			}
			fmt.Printf("  %-28s %8.0f\n", api.name, rate)
			rates[api.name] = append(rates[api.name], rate)
		}
	}
	fmt.Println("medians")
	for i, api := range apis {
		rate := median(rates[api.name])
		fmt.Printf("  %-28s %8.0f", api.name, rate)
		for _, other := range apis[:i] {
			than := median(rates[other.name])
			fmt.Printf("; to %s: %.0f %%, %.0f µs of CPU more a request", other.name, 100*rate/than, 1e6*(1/rate-1/than)*cpuCount())
		}
		fmt.Println()
	}
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
