// Command compat answers which Tyk releases the plugin works in.
//
//	compat modules -tyk DIR PACKAGE   compares what PACKAGE links, in the current workspace, with the go.mod in DIR
//	compat table -doc FILE RELEASE…   builds, loads and plays the scenarios in each release, and writes the table
//
// Exit codes: 0 fine, 1 the answer is no (modules differ, a release failed), 2 could not do it.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/meshpass/meshpass/plugins/compat/pins"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	if len(args) > 0 {
		switch args[0] {
		case "modules":
			return compareModules(args[1:])
		case "table":
			return writeTable(args[1:])
		}
	}
	return fail("usage: compat modules -tyk DIR PACKAGE, or compat table -doc FILE RELEASE…")
}

func compareModules(args []string) int {
	flags := flag.NewFlagSet("compat modules", flag.ContinueOnError)
	tyk := flags.String("tyk", "", "`folder` of the release's source")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *tyk == "" || flags.NArg() != 1 {
		return fail("usage: compat modules -tyk DIR PACKAGE")
	}
	released, err := pins.ReleasedModules(*tyk)
	if err != nil {
		return fail(err)
	}
	linked, err := pins.LinkedModules("", flags.Arg(0))
	if err != nil {
		return fail(err)
	}
	differences := pins.FindDifferences(linked, released, nil)
	for _, d := range differences {
		fmt.Fprintln(os.Stderr, d)
	}
	if len(differences) > 0 {
		return 1
	}
	return 0
}

func fail(why any) int {
	fmt.Fprintln(os.Stderr, "compat:", why)
	return 2
}
