package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshpass/meshpass/extauthz/internal/configcheck"
	"github.com/meshpass/meshpass/internal/bytesize"
	"github.com/meshpass/meshpass/internal/readfile"
)

func newConfig() *cobra.Command {
	return newGroup("config COMMAND", "Check configurations before they are used",
		`Works on the configurations of the authorizer and of the plugin, which
docs/configuration.md describes.`,
		newConfigCheck())
}

func newConfigCheck() *cobra.Command {
	var options configcheck.Options
	var kind string
	cmd := &cobra.Command{
		Use: "check FILE... [flags]", Short: "Report all that serve, or the plugin, would reject",
		Long: `Reads configurations, and all files that they name, as "meshpass serve" or the plugin
does at its start: key sets, policies, overrides, revocations, Services, certificates,
and the modes of secrets. It listens on no address, opens no connection and writes
nothing. What only a running program can show is listed as not checked, such as key
sets at URLs and the list in Redis.

FILE is a configuration, or - for standard input, whose relative paths start from the
working directory. It is the authorizer's file if a key at its top level is one that
only the authorizer has, such as listeners, and the plugin's with one such as issuer.

Run it as the user, and with the environment variables, of the program that will read
the file.

Exit codes: 0 accepted, perhaps with warnings; 1 rejected; 2 a file could not be read,
or its kind is not clear.`,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	cmd.Flags().BoolVar(&options.Strict, "strict", false, "an invalid policy document is an error, as for serve --strict, and not a warning")
	addChoice(cmd, &kind, "kind", "", "the program that reads the files, instead of the one that their keys show", string(configcheck.Authorizer), string(configcheck.Plugin))
	addFunc(cmd, "memory", "SIZE", "", "the memory limit of the authorizer's container, such as 256MiB; warn if what peers can fill is above it", func(text string) error {
		limit, err := bytesize.Parse(text)
		if err == nil && limit <= 0 {
			err = errors.New("want a size such as 256MiB")
		}
		options.Memory = bytesize.Size(float64(limit) * memoryShare)
		return err
	})
	format := addOutput(cmd, "github", "for workflow commands, which GitHub shows at the lines of a pull request")
	cmd.RunE = func(cmd *cobra.Command, names []string) error {
		if len(names) == 0 {
			return newUsageError(cmd, "config check needs FILE")
		}
		if err := checkStdin(cmd, names...); err != nil {
			return err
		}
		options.Now = time.Now
		files, err := readConfigurations(cmd, names, configcheck.Kind(kind))
		if err != nil {
			return err
		}
		report := configcheck.Run(files, options)
		show := report.Print
		if *format == "github" {
			show = report.PrintGitHub
		}
		return printReport(cmd, report, show, *format, report.Accepted)
	}
	return cmd
}

// readConfigurations reads all files, and recognises those whose kind the flag does not name.
func readConfigurations(cmd *cobra.Command, names []string, kind configcheck.Kind) (all []configcheck.File, err error) {
	var failures []error
	for _, name := range names {
		file := configcheck.File{Name: name, Kind: kind}
		if file.Data, err = readConfiguration(cmd, name); err != nil {
			failures = append(failures, err)
			continue
		}
		if name == "-" {
			file.Name = "standard input"
		}
		if kind == "" {
			if file.Kind, err = configcheck.FindKind(file.Data); err != nil {
				failures = append(failures, fmt.Errorf("%s: %w", file.Name, err))
				continue
			}
		}
		all = append(all, file)
	}
	return all, errors.Join(failures...)
}

func readConfiguration(cmd *cobra.Command, name string) ([]byte, error) {
	if name != "-" {
		return readfile.Read(name, configcheck.MaxFileBytes)
	}
	data, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), configcheck.MaxFileBytes+1))
	if err == nil && len(data) > configcheck.MaxFileBytes {
		err = fmt.Errorf("standard input: %w", readfile.ErrTooLarge)
	}
	return data, err
}
