package kind

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// runTool runs a program against the run's own cluster and returns its standard output. The error contains
// the end of its output.
func (e *Environment) runTool(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	return e.runToolIn(ctx, e.root, stdin, name, args...)
}

// runToolIn is [Environment.runTool] in another folder than the repository's.
func (e *Environment) runToolIn(ctx context.Context, dir string, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.runFile("kubeconfig"), "DOCKER_BUILDKIT=1")
	cmd.Dir = dir
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		output := strings.TrimSpace(stdout.String() + stderr.String()) // the error last: the first lines may be cut off
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(firstWords(args), " "), err, lastLines(output, 15))
	}
	return stdout.Bytes(), nil
}

// runSlowTool runs a program that may take minutes, and prints now and then that it still runs.
func (e *Environment) runSlowTool(ctx context.Context, stdin []byte, name string, args ...string) error {
	began, done := time.Now(), make(chan error, 1)
	go func() {
		_, err := e.runTool(ctx, stdin, name, args...)
		done <- err
	}()
	tick := time.NewTicker(repeatInterval)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			e.out.printLine("   still running after %.0f s: %s %s", time.Since(began).Seconds(), name, strings.Join(firstWords(args), " "))
		}
	}
}

// kubectl runs kubectl and returns its output.
func (e *Environment) kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := e.runTool(ctx, nil, "kubectl", args...)
	return strings.TrimSpace(string(out)), err
}

// applyManifests applies manifests with kubectl.
func (e *Environment) applyManifests(ctx context.Context, manifests []byte) error {
	_, err := e.runTool(ctx, manifests, "kubectl", "apply", "-f", "-")
	return err
}

// queryObjects decodes the output of kubectl with -o json.
func (e *Environment) queryObjects(ctx context.Context, into any, args ...string) error {
	out, err := e.runTool(ctx, nil, "kubectl", append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	return json.Unmarshal(out, into)
}

// firstWords keeps an error readable.
func firstWords(args []string) []string { return args[:min(len(args), 8)] }

func lastLines(text string, n int) string {
	lines := strings.Split(text, "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
