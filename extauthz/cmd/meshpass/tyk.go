package main

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/docedit"
	"github.com/meshpass/meshpass/extauthz/internal/printer"
	"github.com/meshpass/meshpass/extauthz/internal/tykhooks"
	"github.com/meshpass/meshpass/internal/atomicfile"
	"github.com/meshpass/meshpass/internal/readfile"
)

func newTyk() *cobra.Command {
	return newGroup("tyk COMMAND", "Prepare the API definitions and the plugin of a Tyk gateway",
		`Prepares the API definitions of a Tyk gateway that exists, and bundles with the plugin.`, newTykHooks(), newTykBundle())
}

func newTykHooks() *cobra.Command {
	var options tykhooks.Options
	var mode editMode
	cmd := &cobra.Command{
		Use: "hooks FILE... [flags]", Short: "Add the plugin's hooks to API definitions",
		Long: `Adds the hooks StripIdentity, SignIdentity and GuardUpstream of the plugin to API
definitions, and the driver goplugin. Everything else in a file stays as it is, byte for
byte. FILE is a classic definition, an OpenAPI document with x-tyk-api-gateway, an
ApiDefinition of Tyk Operator, or a TykOasApiDefinition with its ConfigMap; - is standard
input. A definition that contradicts the hooks is rejected, and no file is changed.

` + editModes + `

Exit codes: 0 fine; 1 with --check, a definition lacks hooks or contradicts them; 2 it
could not be done.`,
		Example: `  meshpass tyk hooks --diff apis/orders.json
  meshpass tyk hooks --write apis/*.json
  meshpass tyk hooks --check apis/*.json`,
	}
	addText(cmd, &options.Path, "path", "FILE", "the plugin's file, as the gateway sees it (default: that of the hooks that are listed, else "+tykhooks.DefaultPath+")")
	mode.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return newUsageError(cmd, "tyk hooks needs at least one FILE with an API definition, or -")
		}
		if err := mode.validate(cmd, args); err != nil {
			return err
		}
		var inputs []tykhooks.Input
		for _, name := range args {
			text, err := readDocument(cmd, name)
			if err != nil {
				return err
			}
			inputs = append(inputs, tykhooks.Input{Name: documentName(name), Text: text})
		}
		files, err := tykhooks.Prepare(inputs, options)
		if err != nil {
			return err
		}
		report := tykhooks.NewReport(files)
		if mode.check {
			return printReport(cmd, report, report.Print, mode.format, report.IsComplete())
		}
		if err := report.Rejection(); err != nil {
			return err
		}
		for _, d := range report.Definitions {
			for _, note := range d.Notes {
				printer.Fprintf(cmd.ErrOrStderr(), "meshpass: %s: API %s: %s\n", d.File, d.API, note)
			}
		}
		var changes []documentChange
		for i, f := range files {
			changes = append(changes, documentChange{name: args[i], before: f.Before, after: f.After})
		}
		return mode.output(cmd, changes)
	}
	return cmd
}

// editMode is what a command does with files that it has edited.
type editMode struct {
	write, diff, check bool
	format             string
}

// editModes describes the modes.
const editModes = `Without a mode the new file is printed. --write replaces the files, --diff prints the
changes, and --check changes nothing and reports what is missing or wrong.`

func (m *editMode) addFlags(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&m.write, "write", "w", false, "replace the files")
	cmd.Flags().BoolVar(&m.diff, "diff", false, "print the changes as a unified diff")
	cmd.Flags().BoolVar(&m.check, "check", false, "change nothing; report what is missing or wrong")
	m.format = "text"
	addChoice(cmd, &m.format, "output", "o", "the form of the report of --check", "text", "json")
}

// validate checks the modes against each other and against the names of the files.
func (m *editMode) validate(cmd *cobra.Command, names []string) error {
	modes := 0
	for _, on := range []bool{m.write, m.diff, m.check} {
		if on {
			modes++
		}
	}
	seen := map[string]bool{}
	for _, name := range names {
		if seen[filepath.Clean(name)] {
			return newUsageError(cmd, "%s is named twice", name)
		}
		seen[filepath.Clean(name)] = true
	}
	switch {
	case modes > 1:
		return newUsageError(cmd, "want one of --write, --diff and --check")
	case m.write && readsStdin(names):
		return newUsageError(cmd, "standard input cannot be replaced: leave out --write, and the result is printed")
	case modes == 0 && len(names) > 1:
		return newUsageError(cmd, "several files need --write, --diff or --check: a printed result is one file")
	case m.format == "json" && !m.check:
		return newUsageError(cmd, "-o json needs --check: without it the output is a file")
	}
	return checkStdin(cmd, names...)
}

// documentChange is a file with its old and new content.
type documentChange struct {
	name          string
	before, after []byte
}

// output prints or writes the files.
func (m *editMode) output(cmd *cobra.Command, changes []documentChange) error {
	for _, c := range changes {
		var err error
		switch {
		case m.write:
			err = writeChange(cmd, c)
		case m.diff:
			name := documentName(c.name)
			_, err = io.WriteString(cmd.OutOrStdout(), printer.EscapeLines(string(diff.Diff(name, c.before, name, c.after))))
		default:
			_, err = cmd.OutOrStdout().Write(c.after)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// writeChange replaces a file, through symbolic links.
func writeChange(cmd *cobra.Command, c documentChange) error {
	if bytes.Equal(c.before, c.after) {
		return nil
	}
	path, err := filepath.EvalSymlinks(c.name)
	if err == nil {
		err = atomicfile.Write(path, c.after, 0o644)
	}
	if err == nil {
		printer.Fprintf(cmd.ErrOrStderr(), "changed %s\n", c.name)
	}
	return err
}

// readDocument reads a file to edit, or standard input for -.
func readDocument(cmd *cobra.Command, name string) ([]byte, error) {
	if name != "-" {
		return readfile.Read(name, docedit.MaxBytes)
	}
	text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), docedit.MaxBytes+1))
	if err == nil && len(text) > docedit.MaxBytes {
		err = fmt.Errorf("standard input: more than %d bytes", docedit.MaxBytes)
	}
	return text, err
}

// documentName is the name of a file in messages.
func documentName(name string) string {
	if name == "-" {
		return "standard input"
	}
	return name
}
