// Command testall runs the tests of every module and lists the tests that could not run.
//
// It prints one line for each finished package, and the whole output of failed tests. A test that needs a
// program which this machine lacks skips itself with "NOT RUN: <what>: needs <Debian package>";
// the summary lists these tests. With CI=true they count as failed, unless they need root.
//
// The last line is always "N passed, N failed, N skipped". Exit code: 0 all passed, 1 something failed, 2 usage.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/meshpass/meshpass/e2e/repo"
)

func main() { os.Exit(run()) }

func run() int {
	only := flag.String("only", "", "comma-separated `modules` to run; absent: all of "+strings.Join(suiteNames(suites), ", "))
	oldest := flag.String("oldest", "", "also run shared/ under this Go `toolchain`, for example go1.23.12")
	flag.Parse()
	root, err := repo.Root()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		return 2
	}
	chosen, err := chooseSuites(*only, *oldest)
	if err != nil {
		fmt.Fprintln(os.Stderr, "testall:", err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report := &report{out: os.Stdout, strict: os.Getenv("CI") == "true"}
	for _, s := range chosen {
		if ctx.Err() == nil {
			s.runTests(ctx, root, report)
		}
	}
	return report.printSummary(ctx.Err())
}

func chooseSuites(only, oldest string) ([]suite, error) {
	chosen := slices.Clone(suites)
	if only != "" {
		wanted := strings.Split(only, ",")
		for _, name := range wanted {
			if !slices.Contains(suiteNames(suites), name) {
				return nil, fmt.Errorf("no module %q: there are %s", name, strings.Join(suiteNames(suites), ", "))
			}
		}
		chosen = slices.DeleteFunc(chosen, func(s suite) bool { return !slices.Contains(wanted, s.name) })
	}
	if oldest != "" {
		chosen = append(chosen, suite{name: "shared, " + oldest, dir: ".", args: []string{"./shared/...", "./internal/..."}, env: []string{"GOTOOLCHAIN=" + oldest}})
	}
	return chosen, nil
}

func suiteNames(all []suite) []string {
	var list []string
	for _, s := range all {
		list = append(list, s.name)
	}
	return list
}
