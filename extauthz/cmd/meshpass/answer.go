package main

import (
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/printer"
)

// answer is what a command prints: as JSON, or in the form for people.
type answer interface{ Print(to io.Writer) error }

// printAnswer prints an answer in the form that -o names.
func printAnswer(cmd *cobra.Command, a answer, format string) error {
	if format == "json" {
		return printer.JSON(cmd.OutOrStdout(), a)
	}
	return printText(cmd, a.Print)
}

// printText prints what a function writes, with nothing in it that controls a terminal.
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

// newWarningLog is the log of a command that is no service: for the person at the terminal.
func newWarningLog(cmd *cobra.Command) *slog.Logger {
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}
