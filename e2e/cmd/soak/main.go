// Command soak changes keys, policies and revocations under load, and kills the servers that the mesh depends on: see package soak.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/meshpass/meshpass/e2e/soak"
)

func main() { os.Exit(run()) }

func run() int {
	o := soak.Options{Progress: os.Stderr}
	flag.DurationVar(&o.Duration, "duration", 2*time.Minute, "time for which requests are sent")
	flag.DurationVar(&o.Every, "every", 5*time.Second, "time for which a key signs")
	flag.DurationVar(&o.Lead, "lead", 4*time.Second, "time from the publication of a key to its first signature")
	flag.Float64Var(&o.Rate, "rate", 0, "requests a second; 0: 70 % of the capacity, which is measured first")
	report := flag.String("report", "", "write report.md, its graphs and result.json into this `FOLDER`; empty: no report")
	format := flag.String("o", "", "json: print the result as JSON")
	flag.Parse()
	if flag.NArg() > 0 || o.Rate < 0 || *format != "" && *format != "json" {
		flag.Usage()
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := soak.Run(ctx, o)
	if err == nil {
		err = printResult(result, *format)
	}
	if err == nil && *report != "" {
		err = result.WriteReport(*report)
		fmt.Fprintln(os.Stderr, "report:", filepath.Join(*report, "report.md"))
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
