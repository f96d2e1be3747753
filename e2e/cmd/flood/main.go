// Command flood floods authorizers with one kind of input after the other, and measures that they stay
// within their bounds: see package flood.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/flood"
)

func main() { os.Exit(run()) }

func run() int {
	o := flood.Options{Progress: os.Stderr}
	flag.DurationVar(&o.Duration, "duration", 10*time.Minute, "time of each flood")
	flag.Float64Var(&o.Rate, "rate", 0, "Checks or connections a second; 0: as many as are answered")
	flag.IntVar(&o.Parallel, "parallel", 1, "floods at one time, each with an authorizer of its own")
	kinds := flag.String("kind", "", "kinds, with commas: "+strings.Join(flood.KindNames(), ",")+"; all without it")
	format := flag.String("o", "", "json: print the results as JSON")
	flag.Parse()
	if flag.NArg() > 0 || *format != "" && *format != "json" || o.Duration <= 0 || o.Rate < 0 {
		flag.Usage()
		return 2
	}
	if *kinds != "" {
		o.Kinds = strings.Split(*kinds, ",")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	results, err := flood.Run(ctx, o)
	if err = errors.Join(err, printResults(results, *format)); err != nil {
		fmt.Fprintln(os.Stderr, "flood:", err)
		return 2
	}
	for _, r := range results {
		if len(r.Wrong) > 0 {
			return 1
		}
	}
	return 0
}

func printResults(results []flood.Result, format string) error {
	switch {
	case format == "json":
		return json.NewEncoder(os.Stdout).Encode(results)
	case len(results) == 0: // the error says why
		return nil
	default:
		return flood.Print(os.Stdout, results)
	}
}
