package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshpass/meshpass/internal/suggest"
)

// normalizeArgs rewrites a command line so that it has one meaning for the parser:
//   - a long flag with one dash, as the package flag took it, gets its second dash;
//   - a value of 43 characters of base64url that begins with a dash, as a key ID may,
//     is an argument and not a flag.
//
// It also finds mistyped commands, and flags before the command that they belong to. An
// error never repeats a word that could be a secret. The arguments are returned with an
// error too.
func normalizeArgs(root *cobra.Command, args []string) ([]string, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return args, nil // a request of a shell: the command line may be incomplete
	}
	root.InitDefaultHelpCmd()
	cmd := withStandardFlags(root)
	arranged, values := []string{}, []string{}
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			values = append(values, args[i+1:]...)
			i = len(args)
		case word == "-" || !strings.HasPrefix(word, "-"):
			if cmd.HasSubCommands() {
				sub := findSubcommand(cmd, word)
				if sub == nil {
					return args, unknownCommand(cmd, word)
				}
				cmd = withStandardFlags(sub)
			}
			arranged = append(arranged, word)
		case dashedValue.MatchString(word) && !cmd.HasSubCommands():
			values = append(values, word)
		default:
			word, takesNext := normalizeFlag(cmd.Flags(), word)
			if cmd.HasSubCommands() && !isFlagOf(cmd.Flags(), word) {
				return args, newUsageError(cmd, "unknown flag%s: write a command, and its flags after it", describeUnknownFlag(cmd, flagName(word)))
			}
			arranged = append(arranged, word)
			if takesNext && i+1 < len(args) {
				i++
				arranged = append(arranged, args[i])
			}
		}
	}
	if len(values) > 0 {
		arranged = append(append(arranged, "--"), values...)
	}
	return arranged, nil
}

// dashedValue is a key ID or a session ID that begins with a dash.
var dashedValue = regexp.MustCompile(`^-[A-Za-z0-9_-]{42}$`)

// withStandardFlags returns the command with the flags that every command has.
func withStandardFlags(cmd *cobra.Command) *cobra.Command {
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	return cmd
}

func findSubcommand(cmd *cobra.Command, name string) *cobra.Command {
	for _, sub := range cmd.Commands() {
		if sub.Name() == name || sub.HasAlias(name) {
			return sub
		}
	}
	return nil
}

// normalizeFlag returns the flag with its dashes, and whether the next word is its value.
func normalizeFlag(flags *pflag.FlagSet, word string) (arranged string, takesNext bool) {
	name, hasValue := flagName(word), strings.Contains(word, "=")
	if strings.HasPrefix(word, "--") || len(name) > 1 && !isShorthands(flags, name) {
		f := flags.Lookup(name)
		return "--" + strings.TrimLeft(word, "-"), f != nil && f.NoOptDefVal == "" && !hasValue
	}
	for i := range name { // several flags of one letter; the last one may have a value
		if f := flags.ShorthandLookup(name[i : i+1]); f == nil || f.NoOptDefVal == "" {
			return word, f != nil && i == len(name)-1 && !hasValue
		}
	}
	return word, false
}

// flagName is the name in --NAME=VALUE, -NAME=VALUE, --NAME or -NAME.
func flagName(word string) string {
	name, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
	return name
}

// isFlagOf reports whether a word with its dashes is one of the flags, or begins with one.
func isFlagOf(flags *pflag.FlagSet, word string) bool {
	name := flagName(word)
	if strings.HasPrefix(word, "--") {
		return flags.Lookup(name) != nil
	}
	return name != "" && flags.ShorthandLookup(name[:1]) != nil
}

// isShorthands reports whether -NAME is one or several flags of one letter, such as
// -vojson, and not a long flag or a mistyped one.
func isShorthands(flags *pflag.FlagSet, name string) bool {
	if flags.Lookup(name) != nil || suggest.Nearest(name, longNames(flags)) != "" {
		return false
	}
	return name[0] < 0x80 && flags.ShorthandLookup(name[:1]) != nil
}

func longNames(flags *pflag.FlagSet) []string {
	var all []string
	flags.VisitAll(func(f *pflag.Flag) { all = append(all, f.Name) })
	return all
}

// asksForJSON reports whether a command line holds -o json.
func asksForJSON(args []string) bool {
	for i, word := range args {
		switch word {
		case "--":
			return false
		case "-o=json", "-ojson", "--output=json", "-output=json":
			return true
		case "-o", "--output", "-output":
			if i+1 < len(args) && args[i+1] == "json" {
				return true
			}
		}
	}
	return false
}

// plainWord matches mistyped commands and flags. Tokens and keys of APIs have digits or
// capital letters, or are longer.
var plainWord = regexp.MustCompile(`^[a-z][a-z-]{0,19}$`)

func unknownCommand(cmd *cobra.Command, word string) error {
	var known []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	slices.Sort(known)
	full := strings.TrimPrefix(cmd.CommandPath()+" "+word, cmd.Root().Name()+" ")
	switch near := suggest.Nearest(word, known); {
	case near != "":
		return newUsageError(cmd, "unknown command %q (did you mean %q?)", full, strings.TrimSuffix(full, word)+near)
	case takesSecrets(cmd) || !plainWord.MatchString(word):
		return newUsageError(cmd, "%s has no such command: want one of %s", strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" "), strings.Join(known, ", "))
	default:
		return newUsageError(cmd, "unknown command %q: want one of %s", full, strings.Join(known, ", "))
	}
}

// takesSecrets reports whether the words after a command may be tokens or keys.
func takesSecrets(cmd *cobra.Command) bool { return cmd.Annotations[secretArguments] != "" }

// secretArguments annotates such a command.
const secretArguments = "meshpass.dev/secret-arguments"

// noArgs admits no argument.
func noArgs(cmd *cobra.Command, args []string) error { return checkArgs(cmd, args, 0) }

// atMostArgs admits that many arguments.
func atMostArgs(most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return checkArgs(cmd, args, most) }
}

// filesByFlag admits no argument, and names the flag of a file that was written as one.
func filesByFlag(cmd *cobra.Command, args []string) error {
	if len(args) > 0 && !cmd.Flags().Changed("file") {
		return newUsageError(cmd, "unexpected argument: name the file with -f")
	}
	return checkArgs(cmd, args, 0)
}

func checkArgs(cmd *cobra.Command, args []string, most int) error {
	switch {
	case len(args) <= most:
		return nil
	case most > 0 || takesSecrets(cmd) || !plainWord.MatchString(args[most]):
		return newUsageError(cmd, "too many arguments: at most %d", most)
	default:
		return newUsageError(cmd, "unexpected argument %q", args[most])
	}
}
