package main

import (
	"flag"
	"time"

	"github.com/meshpass/meshpass/shared/duration"
)

// durationVar is a flag that takes days as well, as the configuration does.
func durationVar(flags *flag.FlagSet, into *time.Duration, name string, value time.Duration) {
	*into = value
	flags.Var((*duration.Value)(into), name, "")
}
