// Command meshpass is the authorizer that Envoy asks before it lets a request
// into a workload. `meshpass help` lists its commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// Exit codes. 1, "the answer is no", belongs to commands that judge.
const (
	fine     = 0
	couldNot = 2
)

const usage = `usage: meshpass COMMAND [FLAGS]

commands:
  serve --config FILE   answer Envoy's ext_authz Checks
  version               print the version
  help                  print this

exit codes: 0 fine, 2 could not do it (usage, configuration, address taken)
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal stops gracefully; from then on a second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run is the whole program; stdout and stderr are kept apart because the
// audit trail goes to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		return misused(stderr, "no command")
	}
	switch args[0] {
	case "serve":
		return serve(ctx, args[1:], stdout, stderr)
	case "version":
		return withoutArguments(args, stderr, func() { printVersion(stdout) })
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return fine
	default:
		return misused(stderr, fmt.Sprintf("unknown command %q", args[0]))
	}
}

func misused(stderr io.Writer, problem string) int {
	fmt.Fprintf(stderr, "meshpass: %s\n%s", problem, usage)
	return couldNot
}

func withoutArguments(args []string, stderr io.Writer, do func()) int {
	if len(args) > 1 {
		return misused(stderr, fmt.Sprintf("%s takes no arguments", args[0]))
	}
	do()
	return fine
}

// parse reads a command's flags; when it is done with them, ok says so, else
// code is the program's exit code.
func parse(flags *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, ok bool) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		return fine, false
	case err != nil:
		return misused(stderr, err.Error()), false
	case flags.NArg() > 0:
		return misused(stderr, fmt.Sprintf("unexpected argument %q", flags.Arg(0))), false
	}
	return fine, true
}

func printVersion(stdout io.Writer) {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintf(stdout, "meshpass %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
