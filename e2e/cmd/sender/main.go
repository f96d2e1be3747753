// Command sender sends requests from within a pod: see package sender.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshpass/meshpass/e2e/idp"
	"github.com/meshpass/meshpass/e2e/kind/sender"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) != 2 {
		return reportError(fmt.Errorf("usage: sender wait | echo | send | load | login"))
	}
	var err error
	switch os.Args[1] {
	case "wait":
		<-ctx.Done()
	case "echo":
		err = sender.ServeEcho(ctx, ":8080")
	case "send":
		err = answerJSON(func(m sender.Message) (sender.Answer, error) { return sender.Send(ctx, m) })
	case "load":
		err = answerJSON(func(l sender.Load) (sender.Tally, error) { return l.Run(ctx), nil })
	case "login":
		err = answerJSON(func(l sender.Login) (idp.Tokens, error) { return idp.Login(ctx, l.Issuer, l.User) })
	default:
		err = fmt.Errorf("unknown command %q", os.Args[1])
	}
	if err != nil {
		return reportError(err)
	}
	return 0
}

// answerJSON reads the argument of do from standard input, and writes its result to standard output.
func answerJSON[In, Out any](do func(In) (Out, error)) error {
	var in In
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	out, err := do(in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

func reportError(err error) int {
	fmt.Fprintln(os.Stderr, "sender:", err)
	return 2
}
