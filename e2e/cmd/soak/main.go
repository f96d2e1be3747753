// Command soak rotates keys under load, and kills the servers that the mesh depends on: see package soak.
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

	"github.com/meshpass/meshpass/e2e/soak"
)

func main() { os.Exit(run()) }

func run() int {
	o := soak.Options{Progress: os.Stderr}
	flag.DurationVar(&o.Duration, "duration", 2*time.Minute, "time for which requests are sent")
	flag.DurationVar(&o.Every, "every", 4*time.Second, "time for which a key signs")
	flag.DurationVar(&o.Lead, "lead", 2*time.Second, "time from the publication of a key to its first signature")
	format := flag.String("o", "", "json: print the result as JSON")
	flag.Parse()
	if flag.NArg() > 0 || *format != "" && *format != "json" {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := soak.Run(ctx, o)
	if err == nil {
		err = printResult(result, *format)
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "soak:", err)
		return 2
	case len(result.Wrong) > 0:
		return 1
	default:
		return 0
	}
}

func printResult(r soak.Result, format string) error {
	if format == "json" {
		return json.NewEncoder(os.Stdout).Encode(r)
	}
	return r.Print(os.Stdout)
}
