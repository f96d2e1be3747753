// Command bench measures what the authorizer and the plugin cost, as ratios: see package bench.
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
	flag.IntVar(&o.Rounds, "rounds", 5, "rounds of each row")
	flag.DurationVar(&o.Length, "duration", 2*time.Second, "time of each row in each round")
	flag.BoolVar(&o.Peers, "peers", false, "measure other projects too, as far as they are built")
	flag.StringVar(&o.Profile, "profile", "", "write CPU profiles of the authorizer and the gateway into this `FOLDER`")
	rows := flag.String("rows", "", "measure the rows whose name, GROUP/NAME, matches this `REGEXP`, and those that they are compared with")
	format := flag.String("o", "", "json: print the result as JSON")
	strict := flag.Bool("strict", false, "exit with 1 if a row misses its target")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "bench measures costs as ratios, in interleaved rounds.\nExit codes: 0 measured; 1 with -strict, a target is missed; 2 it could not be measured.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 || *format != "" && *format != "json" || o.Rounds < 1 || o.Length <= 0 {
		flag.Usage()
		return 2
	}
	var err error
	if o.Rows, err = regexp.Compile(*rows); err != nil {
		fmt.Fprintln(os.Stderr, "bench: -rows:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	result, err := bench.Run(ctx, bench.Groups(), o)
	if len(result.Rows) > 0 {
		err = errors.Join(err, printResult(result, *format))
	}
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 2
	case *strict && len(result.MissedRows()) > 0:
		return 1
	}
	return 0
}

func printResult(result bench.Result, format string) error {
	if format == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(result)
	}
	return result.Print(os.Stdout)
}
