package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// answer is the output of a command, as JSON or as text.
type answer interface{ Print(to io.Writer) error }

// printAnswer prints an answer in the form that -o names.
func printAnswer(cmd *cobra.Command, a answer, format string) error {
	if format == "json" {
		return printer.JSON(cmd.OutOrStdout(), a)
	}
	return printText(cmd, a.Print)
}

// printAnswerOrPage is [printAnswer] with the format html.
func printAnswerOrPage(cmd *cobra.Command, a answer, page func(io.Writer) error, format string) error {
	if format == "html" {
		return page(cmd.OutOrStdout())
	}
	return printAnswer(cmd, a, format)
}

// printText prints the text of a function without terminal control characters.
func printText(cmd *cobra.Command, write func(io.Writer) error) error {
	var text strings.Builder
	if err := write(&text); err != nil {
		return err
	}
	return printer.Text(cmd.OutOrStdout(), text.String())
}

// openInput opens a file, or standard input for -.
func openInput(cmd *cobra.Command, name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(name)
}

// newProgress gives a function that writes a line to standard error, at most one in two seconds.
func newProgress(cmd *cobra.Command) func(format string, args ...any) {
	next := time.Now().Add(2 * time.Second)
	return func(format string, args ...any) {
		if now := time.Now(); now.After(next) {
			next = now.Add(2 * time.Second)
			fmt.Fprintf(cmd.ErrOrStderr(), "meshpass: "+format+"\n", args...)
		}
	}
}

// newWarningLog is the log of a command that a person runs at a terminal.
func newWarningLog(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
