package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Every command describes itself and its exit codes, every flag has a description and a
// placeholder for its value, and every command that prints an answer has -o.
func TestEveryCommandIsDescribed(t *testing.T) {
	withoutAnswer := []string{"meshpass serve", "meshpass help"}
	seen := 0
	forEachCommand(newRoot(), func(cmd *cobra.Command) {
		path := cmd.CommandPath()
		if cmd.Short == "" || cmd.Long == "" {
			t.Errorf("%s has no description", path)
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			seen++
			if f.Usage == "" {
				t.Errorf("%s --%s has no description", path, f.Name)
			}
			placeholder, _ := pflag.UnquoteUsage(f)
			if slices.Contains([]string{"string", "strings", "uint", "value", "duration"}, placeholder) {
				t.Errorf("%s --%s: the help shows %s as its value", path, f.Name, placeholder)
			}
		})
		if cmd.HasSubCommands() || strings.HasPrefix(path, "meshpass completion ") {
			return
		}
		if cmd.Flags().Lookup("output") == nil != slices.Contains(withoutAnswer, path) {
			t.Errorf("%s: -o is missing, or should be", path)
		}
		if !strings.Contains(cmd.Long, "Exit codes: 0 ") && path != "meshpass version" && path != "meshpass help" {
			t.Errorf("%s has no exit codes", path)
		}
	})
	if seen < 80 {
		t.Errorf("only %d flags were seen", seen)
	}
}

func forEachCommand(cmd *cobra.Command, visit func(*cobra.Command)) {
	withStandardFlags(cmd)
	visit(cmd)
	for _, sub := range cmd.Commands() {
		forEachCommand(sub, visit)
	}
}
