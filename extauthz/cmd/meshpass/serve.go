package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/meshpass/meshpass/extauthz/app"
	"github.com/meshpass/meshpass/shared/strictyaml"
)

// drain is well below the 30 s that Kubernetes leaves a container to end, and
// far above the time that a Check takes.
const drain = 10 * time.Second

func serve(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	config := flags.String("config", "", "the configuration `FILE`")
	if code, ok := parse(flags, args, stdout, stderr); !ok {
		return code
	}
	if *config == "" {
		return misused(stderr, "serve needs --config FILE")
	}
	err := app.Run(ctx, app.Process{
		ConfigFile: *config,
		Stdout:     stdout,
		Log:        slog.New(slog.NewJSONHandler(stderr, nil)),
		Now:        time.Now,
		Drain:      drain,
	})
	if err != nil {
		explain(stderr, err)
		return couldNot
	}
	return fine
}

// explain is for the person at the terminal: problems stand one a line in the
// form that editors jump to.
func explain(stderr io.Writer, err error) {
	if problems, ok := errors.AsType[strictyaml.Problems](err); ok {
		fmt.Fprintf(stderr, "%s\nmeshpass: the configuration is refused: %d to mend, nothing was started\n", problems, len(problems))
		return
	}
	fmt.Fprintf(stderr, "meshpass: %s\n", err)
}
