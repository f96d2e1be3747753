// Command demo starts the whole path on this machine, plays the tour and explains every decision.
//
// Exit codes: 0 every outcome was as expected, 1 an outcome differed, 2 the tour could not be played.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/localmesh"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

func main() { os.Exit(run()) }

func run() int {
	keep := flag.Bool("keep", false, "leave everything running after the tour, until Ctrl-C")
	istiod := flag.Bool("istiod", false, "configure the Envoys from a live istiod instead of the checked-in dump")
	keepDir := flag.String("keep-dir", "", "a new or empty `folder` for policies, records and logs, which stays; empty: a temporary one")
	redis := flag.String("redis", "", "`host:port` of a real Redis; empty: an embedded one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	p := newPrinter(os.Stdout)
	tour, err := scenarios.LoadShipped("tour")
	if err != nil {
		return reportError(err)
	}
	p.printOpening(*istiod)
	mesh, err := localmesh.Start(ctx, localmesh.Options{Istiod: *istiod, RedisAddr: *redis, Dir: *keepDir, Started: p.printStarted})
	if err != nil {
		return reportError(err)
	}
	played, err := playTour(ctx, mesh, tour, p)
	if err == nil && *keep {
		err = holdOpen(ctx, mesh, *keepDir != "", p)
	}
	return stopAndReport(mesh, played, *keepDir != "", err, p)
}

// tally counts the cases and requests of the tour.
type tally struct {
	cases, requests, differing int
	began                      time.Time
}

func playTour(ctx context.Context, mesh *localmesh.Mesh, tour []scenarios.Scenario, p *printer) (tally, error) {
	t := tally{began: time.Now()}
	for i, scenario := range tour {
		exchanges, err := scenarios.Run(ctx, mesh, scenario)
		if err != nil {
			return t, err
		}
		p.printScenario(i+1, scenario, exchanges)
		t.cases++
		for _, e := range exchanges {
			t.requests++
			if len(e.Problems) > 0 {
				t.differing++
			}
		}
	}
	p.printSummary(t)
	return t, mesh.Check(ctx)
}

// stopAndReport stops everything and returns the exit code. It removes the folder with the logs if everything was as
// expected, unless the folder is to be kept.
func stopAndReport(mesh *localmesh.Mesh, t tally, keepDir bool, err error, p *printer) int {
	closeErr := mesh.Close()
	switch {
	case err != nil:
		p.printLogDir(mesh.Dir())
		return reportError(err)
	case closeErr != nil:
		p.printLogDir(mesh.Dir())
		return reportError(closeErr)
	case t.differing > 0:
		p.printLogDir(mesh.Dir())
		return 1
	case keepDir:
		p.printLogDir(mesh.Dir())
		return 0
	}
	if err := mesh.RemoveDir(); err != nil {
		return reportError(err)
	}
	return 0
}

func reportError(err error) int {
	fmt.Fprintln(os.Stderr, "demo:", err)
	return 2
}
