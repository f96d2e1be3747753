package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/plugins/compat/page"
)

// errUntried means that the attempt has no result, so that earlier results are kept.
var errUntried = errors.New("could not be tried")

// tryRelease builds the plugin against the source, has a gateway of this source load the plugin, and plays the
// scenarios in that gateway. It writes the results into the row; the error is the step that failed.
func tryRelease(root string, row *page.Row, source string) error {
	if _, err := os.Stat(source); err != nil {
		return fmt.Errorf("%w: no source: set COMPAT_SRC to a folder that holds it as %s", errUntried, row.Release)
	}
	stamp, err := newStamp(root)
	if err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	built, loaded, err := buildPlugin(root, row.Release, source)
	switch {
	case errors.Is(err, errUntried):
		return err
	case !built:
		row.Built, row.Loaded, row.Ran = "refused, "+stamp, page.Untested, page.Untested
		return err
	case !loaded:
		row.Built, row.Loaded, row.Ran = stamp, "failed, "+stamp, page.Untested
		return err
	}
	row.Built, row.Loaded = stamp, stamp
	err = playScenarios(root, row.Release, source)
	switch {
	case errors.Is(err, errUntried):
		return err
	case err != nil:
		row.Ran = "failed, " + stamp
		return err
	}
	row.Ran = stamp
	return nil
}

// buildPlugin runs build.sh; its two lines of output show how far it came.
func buildPlugin(root, release, source string) (built, loaded bool, err error) {
	cmd := exec.Command(filepath.Join(root, "plugins", "build.sh"))
	cmd.Env = append(os.Environ(), "TYK_SRC="+source, "TYK_VERSION="+release, "TYK_BIN=", "OUT=")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	built = bytes.HasPrefix(out, []byte("built "))
	loaded = bytes.Contains(out, []byte("\nloaded "))
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return built, loaded, errors.New("does not work, see above")
	}
	if err != nil {
		return built, loaded, fmt.Errorf("%w: build.sh: %w", errUntried, err)
	}
	return built, loaded, nil
}

// playScenarios runs the scenarios, and calls of MCP if the release is a proxy for them, with this release's
// gateway, plugin and templates among the programs that make has built. The tests are compiled first: a
// test that does not compile is no result about the release.
func playScenarios(root, release, source string) (err error) {
	programs, err := os.MkdirTemp("", "meshpass-compat-")
	if err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(programs)) }()
	if err := linkPrograms(programs, filepath.Join(root, "bin"), filepath.Join(root, "bin", "gateways", release), source); err != nil {
		return fmt.Errorf("%w: %w", errUntried, err)
	}
	e2e, tests := filepath.Join(root, "e2e"), filepath.Join(programs, "e2e.test")
	if err := runVisibly(e2e, nil, "go", "test", "-c", "-o", tests, "."); err != nil {
		return fmt.Errorf("%w: the scenarios: %w", errUntried, err)
	}
	fmt.Fprintf(os.Stderr, "playing the scenarios in %s\n", release)
	env := []string{"MESHPASS_BIN=" + programs}
	if err := runVisibly(e2e, env, tests, "-test.run=^TestTour$", "-test.timeout=10m"); err != nil {
		return fmt.Errorf("the scenarios: %w", err)
	}
	if !isMCPProxy(source) {
		return nil
	}
	if err := runVisibly(e2e, nil, "go", "test", "-c", "-tags", "mcp", "-o", tests, "./gateway"); err != nil {
		return fmt.Errorf("%w: the calls of MCP: %w", errUntried, err)
	}
	fmt.Fprintf(os.Stderr, "calling MCP tools through %s\n", release)
	if err := runVisibly(filepath.Join(e2e, "gateway"), env, tests, "-test.run=^TestMCP$", "-test.timeout=10m"); err != nil {
		return fmt.Errorf("the calls of MCP: %w", err)
	}
	return nil
}

// isMCPProxy reports whether a release takes JSON-RPC calls through the chain of an API by loops,
// as Tyk does from 5.13 on.
func isMCPProxy(source string) bool {
	_, err := os.Stat(filepath.Join(source, "gateway", "mw_mcp_vem_continuation.go"))
	return err == nil
}

// runVisibly runs a command and shows its output.
func runVisibly(dir string, env []string, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// linkPrograms links the files of bin into programs, but for those of the gateway, which it links from the
// release.
func linkPrograms(programs, bin, gateway, source string) error {
	links := map[string]string{
		"tyk":           filepath.Join(gateway, "tyk"),
		"plugins":       filepath.Join(gateway, "plugins"),
		"tyk-templates": filepath.Join(source, "templates"),
	}
	entries, err := os.ReadDir(bin)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if links[e.Name()] == "" {
			links[e.Name()] = filepath.Join(bin, e.Name())
		}
	}
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(programs, name)); err != nil {
			return err
		}
	}
	return nil
}

// newStamp is the text of a cell: date, commit, version of Go.
func newStamp(root string) (string, error) {
	commit, err := readOutput(root, "git", "rev-parse", "--short", "HEAD")
	if err != nil {
		return "", err
	}
	changed, err := readOutput(root, "git", "status", "--porcelain", "--", ".", ":!docs")
	if err != nil {
		return "", err
	}
	if changed != "" {
		commit += "+changes"
	}
	goVersion, err := readOutput(root, "go", "env", "GOVERSION")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s, %s", time.Now().UTC().Format(time.DateOnly), commit, goVersion), nil
}

func readOutput(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
