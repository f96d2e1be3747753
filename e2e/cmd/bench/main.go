// Command bench measures what the plugin costs: requests per second through one Tyk gateway, to a
// plain upstream, with our plugin and with a plugin that does nothing, on two APIs that are alike
// in all else. Rounds alternate, so that both see the same machine.
//
// The load is made on the same machine and takes its share of it: read the ratio, not the rates.
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
	clients := flag.Int("clients", 8, "requests under way at any time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench(ctx, *rounds, *length, *clients); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	}
	return 0
}

func bench(ctx context.Context, rounds int, length time.Duration, clients int) error {
	upstream, err := startUpstream(ctx)
	if err != nil {
		return err
	}
	mesh, err := localmesh.Start(ctx, localmesh.Options{Prepare: addAPIs(upstream)})
	if err != nil {
		return err
	}
	err = measure(ctx, mesh, rounds, length, clients)
	if closeErr := mesh.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		return mesh.RemoveDir()
	}
	return fmt.Errorf("%w (logs: %s)", err, mesh.Dir())
}

func measure(ctx context.Context, mesh *localmesh.Mesh, rounds int, length time.Duration, clients int) error {
	key, err := mesh.CreateKey(ctx, session)
	if err != nil {
		return err
	}
	fmt.Printf("requests per second through Tyk, %d clients, %d rounds of %v each\n", clients, rounds, length)
	rates := map[string][]float64{}
	for range rounds {
		for _, api := range apis {
			l := load{url: mesh.GatewayURL() + api.path, authorization: key, clients: clients}
			rate, err := l.run(ctx, length)
			if err != nil {
				return fmt.Errorf("%s: %w", api.name, err)
			}
			fmt.Printf("  %-24s %8.0f\n", api.name, rate)
			rates[api.name] = append(rates[api.name], rate)
		}
	}
	with, without := median(rates[apis[1].name]), median(rates[apis[0].name])
	fmt.Printf("median: %.0f with the plugin, %.0f without: %.0f %%, %.0f µs of CPU more a request\n",
		with, without, 100*with/without, 1e6*(1/with-1/without)*cores())
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
