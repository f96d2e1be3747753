package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// Exit codes.
const (
	exitFine     = 0
	exitAnswerNo = 1 // the answer is no
	exitCouldNot = 2
)

// errAnswerNo is the answer no of a command that has printed everything.
var errAnswerNo = &exitError{code: exitAnswerNo}

// exitError ends the program with a code.
type exitError struct {
	code     int
	err      error // nil: everything has been printed
	inAnswer bool  // the JSON answer on stdout contains err
}

func (e *exitError) Error() string {
	if e.err == nil {
		return "the answer is no"
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exitFor is the error of a command that has printed its answer. left is how many parts are not in the answer's verdict, in the words
// of what: they weigh more than the verdict.
func exitFor(passes bool, left int, what string) error {
	switch {
	case left > 0:
		return &exitError{code: exitCouldNot, inAnswer: true, err: fmt.Errorf("%d %s", left, what)}
	case !passes:
		return errAnswerNo
	}
	return nil
}

// notChecked are the words of [exitFor] for a part of the input.
const notChecked = "parts of the input could not be checked"

// answerNoFor is the answer no, for an error that is one of the given kinds. Any other
// error is returned as it is.
func answerNoFor(err error, kinds ...error) error {
	for _, kind := range kinds {
		if errors.Is(err, kind) {
			return &exitError{code: exitAnswerNo, err: err}
		}
	}
	return err
}

// usageError is a mistake in the command line.
type usageError struct {
	path    string // of the command, such as "meshpass keys new"
	message string
}

func (e *usageError) Error() string { return e.message }

// newUsageError is a [usageError] of a command.
func newUsageError(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Sprintf(format, args...)}
}

// errorObject is the output of -o json in the place of an answer.
type errorObject struct {
	Error *printer.Failure `json:"error"`
}

// exitCode is the exit code of an error.
func exitCode(err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &exit):
		return exit.code
	default:
		return exitCouldNot
	}
}

// reportError prints why a command failed, and returns the exit code.
func reportError(err error, asJSON bool, stdout, stderr io.Writer) int {
	var exit *exitError
	if errors.As(err, &exit) && exit.err == nil || err == nil {
		return exitCode(err)
	}
	fmt.Fprintf(stderr, "meshpass: %s\n", printer.RedactTokens(err.Error()))
	var usage *usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "see %s --help\n", usage.path)
	}
	if asJSON && (exit == nil || !exit.inAnswer) {
		_ = printer.JSON(stdout, errorObject{printer.NewFailure(err)}) // the exit code reports the failure too
	}
	return exitCode(err)
}
