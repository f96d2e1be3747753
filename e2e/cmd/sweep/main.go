// Command sweep measures the authorizer while one property changes step by step, and draws graphs: see package bench.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/bench"
)

func main() { os.Exit(run()) }

func run() int {
	o := bench.Options{Progress: os.Stderr}
	flag.IntVar(&o.Rounds, "rounds", 3, "rounds of each point")
	flag.DurationVar(&o.Length, "duration", time.Second, "time of each point in each round")
	dir := flag.String("dir", "docs/performance", "write the graphs into this `FOLDER`")
	only := flag.String("only", "", "measure the sweeps whose name matches this `REGEXP`: connections, in-flight, gomaxprocs, token-size, headers, documents")
	format := flag.String("o", "", "json: print the points as JSON")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "sweep measures Checks while one property changes, and draws graphs.\nExit codes: 0 measured; 2 it could not be measured.")
		flag.PrintDefaults()
	}
	flag.Parse()
	names, err := regexp.Compile(*only)
	if err != nil || flag.NArg() > 0 || *format != "" && *format != "json" || o.Rounds < 1 || o.Length <= 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	all, err := bench.RunSweeps(ctx, names, o, *dir)
	if *format == "json" {
		err = errors.Join(err, json.NewEncoder(os.Stdout).Encode(all))
	} else {
		err = errors.Join(err, bench.PrintSweeps(os.Stdout, all))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sweep:", err)
		return 2
	}
	return 0
}
