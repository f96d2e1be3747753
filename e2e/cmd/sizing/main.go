// Command sizing measures the CPU and memory that an authorizer needs: see package flood.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/flood"
)

func main() { os.Exit(run()) }

func run() int {
	o := flood.SizingOptions{Progress: os.Stderr}
	flag.DurationVar(&o.Duration, "duration", 20*time.Second, "time of each kind of Check")
	flag.Float64Var(&o.Rate, "rate", 1000, "Checks a second; 0: as many as are answered")
	flag.Int64Var(&o.Tokens, "tokens", 40_000, "tokens to cache")
	format := flag.String("o", "", "json: print the figures as JSON")
	flag.Parse()
	if flag.NArg() > 0 || *format != "" && *format != "json" || o.Duration <= 0 || o.Rate < 0 || o.Tokens <= 0 {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sizing, err := flood.MeasureSizing(ctx, o)
	if err == nil && *format == "json" {
		err = json.NewEncoder(os.Stdout).Encode(sizing)
	} else if err == nil {
		err = sizing.Print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sizing:", err)
		return 2
	}
	return 0
}
