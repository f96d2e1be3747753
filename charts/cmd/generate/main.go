// Command generate writes the generated files of the charts. It runs in the folder charts.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/meshpass/meshpass/charts/internal/generate"
)

func main() {
	if err := writeFiles(); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(2)
	}
}

func writeFiles() error {
	files, err := generate.Files(".")
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.FromSlash(name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
