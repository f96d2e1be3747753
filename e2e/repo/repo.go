// Package repo finds this repository's folder and the programs that make built
// in it. Tests and demo start programs; they never compile them.
package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const rootModule = "module github.com/meshpass/meshpass\n"

// ErrNotBuilt means that a program is not in the folder of programs.
var ErrNotBuilt = errors.New("not built")

// Root walks up from the working directory to the folder of the root module.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), rootModule) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no folder above %s is the meshpass repository", from)
		}
	}
}

// BinDir is where make puts programs: MESHPASS_BIN, or bin at the root.
func BinDir() (string, error) {
	if dir := os.Getenv("MESHPASS_BIN"); dir != "" {
		return dir, nil
	}
	root, err := Root()
	return filepath.Join(root, "bin"), err
}

// Bin returns the path of a built program, or an ErrNotBuilt that says which
// make target builds it.
func Bin(name, target string) (string, error) {
	dir, err := BinDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s: %w: run make %s", path, ErrNotBuilt, target)
	}
	return path, nil
}
