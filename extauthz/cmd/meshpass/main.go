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
	"time"
)

// Exit codes.
const (
	fine     = 0
	no       = 1 // the answer is no
	couldNot = 2
)

const usage = `usage: meshpass COMMAND [FLAGS]

commands:
  serve           answer Envoy's ext_authz Checks
  keys new        add a signing key to a directory
  keys rotate     make the next key when its time has come, and publish it
  keys status     tell which key signs, what comes next, and what is wrong
  keys publish    write the key set that verifiers get
  token inspect   print what a token says, unverified
  token verify    say whether a configuration accepts a token, or which rule refuses it
  token mint      mint a token for a test
  policy lint     find what is wrong, or not meant, in policies
  policy test     decide the cases that stand beside policies
  policy explain  say how policies decide a request, and why
  policy diff     say which recorded decisions changed policies would change
  revoke          end tokens, sessions, users and keys before their time
  services        write the file of Services that a waypoint's listener needs
  status          say what authorizers run, and why it is not what they should
  health          ask a running authorizer whether it is ready
  version         print the version
  help            print this; COMMAND --help prints a command's flags

exit codes: 0 fine, 1 the answer is no, 2 could not do it (usage, configuration, unreadable file)
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	// The first signal stops gracefully; from then on a second one kills.
	context.AfterFunc(ctx, stop)
	os.Exit(runUntil(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// interrupted is how long a command has to end by itself when it is interrupted. One
// that reads a file may hang there, as at a named pipe or a network mount.
const interrupted = time.Second

// runUntil is run that ends with ctx. Serving ends by itself, in its own time.
func runUntil(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, args, stdout, stderr) }()
	if len(args) > 0 && args[0] == "serve" {
		return <-ended
	}
	select {
	case code := <-ended:
		return code
	case <-ctx.Done():
	}
	select {
	case code := <-ended:
		return code
	case <-time.After(interrupted):
		fmt.Fprintln(stderr, "meshpass: interrupted")
		return couldNot
	}
}

// run is the whole program; stdout and stderr are kept apart because the
// audit trail goes to stdout.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c := command{usage: usage, stdin: os.Stdin, stdout: stdout, stderr: stderr}
	if len(args) == 0 {
		return c.misused("no command")
	}
	switch args[0] {
	case "serve":
		return c.serve(ctx, args[1:])
	case "keys":
		return c.keys(ctx, args[1:])
	case "token":
		return c.token(args[1:])
	case "policy":
		return c.policy(args[1:])
	case "revoke":
		return c.revoke(args[1:])
	case "services":
		return c.services(ctx, args[1:])
	case "status":
		return c.status(ctx, args[1:])
	case "health":
		return c.health(ctx, args[1:])
	case "version":
		return c.version(args[1:])
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, usage)
		return fine
	default:
		return c.misused("unknown command %q", args[0])
	}
}

// command is one command as it runs: its help text, and where it prints.
type command struct {
	usage          string
	stdin          io.Reader
	stdout, stderr io.Writer
}

func (c command) misused(format string, args ...any) int {
	fmt.Fprintf(c.stderr, "meshpass: %s\n%s", fmt.Sprintf(format, args...), c.usage)
	return couldNot
}

// failed tells why, and gives the exit code that goes with it.
func (c command) failed(err error) int {
	fmt.Fprintf(c.stderr, "meshpass: %s\n", err)
	return couldNot
}

// parse reads the flags; when it is done with them, ok says so, else code is the
// program's exit code.
func (c command) parse(flags *flag.FlagSet, args []string) (code int, ok bool) {
	return c.parseUpTo(0, flags, args)
}

// parseUpTo admits that many arguments after the flags. These may be tokens, so
// one too many is not repeated.
func (c command) parseUpTo(most int, flags *flag.FlagSet, args []string) (code int, ok bool) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(c.stdout, c.usage)
		return fine, false
	case err != nil:
		return c.misused("%s", err), false
	case flags.NArg() > most && most > 0:
		return c.misused("too many arguments: flags come first"), false
	case flags.NArg() > most:
		return c.misused("unexpected argument %q", flags.Arg(most)), false
	}
	return fine, true
}

func (c command) version(args []string) int {
	if len(args) > 0 {
		return c.misused("version takes no arguments")
	}
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	fmt.Fprintf(c.stdout, "meshpass %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return fine
}
