package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// newRoot makes the tree of all commands.
func newRoot() *cobra.Command {
	root := newGroup("meshpass COMMAND", "Authorize requests between services by claims of verified users",
		`Meshpass verifies the internal tokens that a Tyk gateway signs, and decides by
policies which requests may enter a workload. Envoy asks "meshpass serve" for
each request. The other commands prepare, check and operate it.

Exit codes: 0 fine; 1 the answer is no; 2 the command could not do its work
(wrong usage or configuration, a file that cannot be read).`,
		newServe(), newConfig(), newKeys(), newToken(), newPolicy(), newRevoke(), newAudit(), newServices(), newTyk(), newIstio(), newLint(), newRBAC(), newRoutes(), newRehearse(), newTrace(), newDoctor(), newStatus(), newHealth(), newVersion())
	root.Version = versionLine()
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().Bool("version", false, "print the version, as the command version does")
	root.SetHelpCommand(newHelp())
	root.SetUsageTemplate(usageTemplate)
	root.SetFlagErrorFunc(explainFlagError)
	root.SilenceErrors, root.SilenceUsage = true, true // see report
	cobra.EnableCommandSorting = false                 // the order here is the order of use
	checkCompletionArgs(root)
	return root
}

// newGroup makes a command that only contains other commands.
func newGroup(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{
		Use: use, Short: short, Long: long, Args: noArgs, DisableFlagsInUseLine: true,
		RunE: requireSubcommand,
	}
	group.AddCommand(commands...)
	return group
}

// requireSubcommand is the answer to a command line that ends with the name of a group.
func requireSubcommand(cmd *cobra.Command, _ []string) error {
	var names []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && (cmd.HasParent() || sub.Name() != "completion") {
			names = append(names, sub.Name())
		}
	}
	if !cmd.HasParent() {
		return newUsageError(cmd, "no command: want one of %s", strings.Join(names, ", "))
	}
	return newUsageError(cmd, "%s needs a command: %s", cmd.Name(), joinChoices(names))
}

// checkCompletionArgs makes the library's command completion treat its arguments as our
// own commands do.
func checkCompletionArgs(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	completion := findSubcommand(root, "completion")
	completion.Short = "Print a script that makes a shell complete commands and flags"
	completion.Long = `Prints a script that makes a shell complete the commands and flags of meshpass. The
help of each shell's command describes how to load it.`
	completion.DisableFlagsInUseLine = true
	completion.Use = "completion COMMAND"
	completion.RunE = requireSubcommand
	for _, shell := range completion.Commands() {
		shell.Args = noArgs
	}
}

// newHelp makes the command help.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND...]", Short: "Print the help of a command", DisableFlagsInUseLine: true,
		Long: "Prints the help of a command, as COMMAND --help does.",
		RunE: func(cmd *cobra.Command, words []string) error {
			target := cmd.Root()
			for _, word := range words {
				sub := findSubcommand(target, word)
				if sub == nil {
					return unknownCommand(target, word)
				}
				target = sub
			}
			withStandardFlags(target)
			return target.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
			target := cmd.Root()
			for _, word := range words {
				if target = findSubcommand(target, word); target == nil {
					return nil, cobra.ShellCompDirectiveNoFileComp
				}
			}
			var names []string
			for _, sub := range target.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// usageTemplate is the part of a help text after the description.
const usageTemplate = `Usage: {{.UseLine}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}

{{.CommandPath}} COMMAND --help prints the flags of a command.{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 100 | trimTrailingWhitespaces}}{{end}}
`
