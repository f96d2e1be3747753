package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshpass/meshpass/internal/duration"
	"github.com/meshpass/meshpass/internal/suggest"
)

// flagValue is a flag whose value a function parses.
type flagValue struct {
	set  func(text string) error
	text string
	kind string // the placeholder in the help, such as FILE
}

func (v *flagValue) String() string { return v.text }
func (v *flagValue) Type() string   { return v.kind }

func (v *flagValue) Set(text string) error {
	if err := v.set(text); err != nil {
		return err
	}
	v.text = text
	return nil
}

// addFunc adds a flag whose value a function parses. byDefault is only for the help.
func addFunc(cmd *cobra.Command, name, kind, byDefault, usage string, set func(string) error) {
	cmd.Flags().Var(&flagValue{set: set, text: byDefault, kind: kind}, name, usage)
}

// addText adds a flag with a text. The value of into is its default.
func addText(cmd *cobra.Command, into *string, name, kind, usage string) {
	addTextP(cmd, into, name, "", kind, usage)
}

// addTextP is [addText] with a name of one letter.
func addTextP(cmd *cobra.Command, into *string, name, letter, kind, usage string) {
	set := func(text string) error { *into = text; return nil }
	cmd.Flags().VarP(&flagValue{set: set, text: *into, kind: kind}, name, letter, usage)
}

// addList adds a flag that may be given several times.
func addList(cmd *cobra.Command, into *[]string, name, kind, usage string) {
	addFunc(cmd, name, kind, "", usage+"; may be given several times", func(text string) error {
		*into = append(*into, text)
		return nil
	})
}

// addDuration adds a flag with a duration, which can be in days, as in the configuration.
// The value of into is its default, unless it is negative.
func addDuration(cmd *cobra.Command, into *time.Duration, name, usage string) {
	byDefault := ""
	if *into >= 0 {
		byDefault = shortDuration(*into)
	}
	value := (*duration.Value)(into)
	cmd.Flags().Var(&flagValue{set: value.Set, text: byDefault, kind: "DURATION"}, name, usage)
}

// shortDuration is 1h for 1h0m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// addChoice adds a flag with one of several words. The value of into is its default.
func addChoice(cmd *cobra.Command, into *string, name, letter, usage string, choices ...string) {
	set := func(text string) error {
		if !slices.Contains(choices, text) {
			return fmt.Errorf("want %s%s", joinChoices(choices), suggest.DidYouMean(text, choices))
		}
		*into = text
		return nil
	}
	cmd.Flags().VarP(&flagValue{set: set, text: *into, kind: strings.Join(choices, "|")}, name, letter, usage)
	complete := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return choices, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(name, complete); err != nil {
		panic(err) // a flag that is defined twice: a mistake in this program
	}
}

func joinChoices(choices []string) string {
	last := len(choices) - 1
	return strings.TrimPrefix(strings.Join(choices[:last], ", ")+" or "+choices[last], " or ")
}

// addOutput adds -o with text and json, and further formats, each followed by its use.
func addOutput(cmd *cobra.Command, more ...string) *string {
	format := "text"
	usage := "text for people, json for programs"
	for i := 0; i+1 < len(more); i += 2 {
		usage += ", " + more[i] + " " + more[i+1]
	}
	choices := []string{"text", "json"}
	for i := 0; i < len(more); i += 2 {
		choices = append(choices, more[i])
	}
	addChoice(cmd, &format, "output", "o", usage, choices...)
	return &format
}

// explainFlagError describes the mistake in a flag, and the flag that may be meant.
func explainFlagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var noValue *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return newUsageError(cmd, "unknown flag%s", describeUnknownFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &noValue):
		return newUsageError(cmd, "%s needs a value", displayName(noValue.GetFlag()))
	case errors.As(err, &invalid):
		return newUsageError(cmd, "invalid value %.64q for %s: %s", invalid.GetValue(), displayName(invalid.GetFlag()), explainValueError(invalid))
	default:
		return newUsageError(cmd, "a flag that cannot be read: want --NAME VALUE or --NAME=VALUE")
	}
}

// explainValueError describes the values that a flag takes. The errors of the standard library name its
// functions.
func explainValueError(err *pflag.InvalidValueError) string {
	switch err.GetFlag().Value.Type() {
	case "bool":
		return "want true or false"
	case "int", "uint64":
		return "want a whole number"
	default:
		return err.Unwrap().Error()
	}
}

func describeUnknownFlag(cmd *cobra.Command, name string) string {
	text := ""
	if plainWord.MatchString(name) { // anything else may be a secret
		text = " " + withDashes(name)
	}
	if near := suggest.Nearest(name, longNames(cmd.Flags())); near != "" && len(name) > 1 {
		text += fmt.Sprintf(" (did you mean %s?)", withDashes(near))
	}
	return text
}

func withDashes(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// displayName names a flag by its letter, if it has one.
func displayName(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return withDashes(f.Shorthand)
	}
	return withDashes(f.Name)
}
