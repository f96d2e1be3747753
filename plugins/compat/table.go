package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/plugins/compat/page"
)

// writeTable tries each release and writes the page, in the module's folder. A release is NAME=DIR, or
// NAME alone: its source is then the folder of that name in COMPAT_SRC. One that could not be tried
// keeps its row, so that a page can be made on several machines.
func writeTable(args []string) int {
	flags := flag.NewFlagSet("compat table", flag.ContinueOnError)
	doc := flags.String("doc", "", "`file` to write")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if *doc == "" || flags.NArg() == 0 {
		return fail("usage: compat table -doc FILE NAME=DIR…")
	}
	root, err := filepath.Abs("..")
	if err != nil {
		return fail(err)
	}
	rows, remarks, err := page.ReadPage(*doc)
	if err != nil {
		return fail(err)
	}
	code := 0
	for _, arg := range flags.Args() {
		name, source, _ := strings.Cut(arg, "=")
		if source == "" {
			source = filepath.Join(os.Getenv("COMPAT_SRC"), name)
		}
		fmt.Fprintf(os.Stderr, "\n%s\n", name)
		row := rows.RowOf(name)
		if err := tryRelease(root, &row, source); err != nil {
			fmt.Fprintf(os.Stderr, "compat: %s: %v\n", name, err)
			if !errors.Is(err, errUntried) {
				code = 1
			}
		}
		rows.SetRow(row)
	}
	if err := os.WriteFile(*doc, []byte(page.FormatPage(rows, remarks)), 0o644); err != nil {
		return fail(err)
	}
	return code
}
