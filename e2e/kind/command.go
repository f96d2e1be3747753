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

// tool runs a program against the run's own cluster and returns its standard output. The error holds
// the end of what it said on standard error.
func (e *Environment) tool(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.path("kubeconfig"), "DOCKER_BUILDKIT=1")
	cmd.Dir = e.root
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stdout.String() + stderr.String()) // the error last: the first lines may be cut off
		return nil, fmt.Errorf("%s %s: %w: %s", name, strings.Join(firstWords(args), " "), err, lastLines(said, 15))
	}
	return stdout.Bytes(), nil
}

// slow is a tool that may take minutes; it is reported from time to time that it still runs.
func (e *Environment) slow(ctx context.Context, stdin []byte, name string, args ...string) error {
	began, done := time.Now(), make(chan error, 1)
	go func() {
		_, err := e.tool(ctx, stdin, name, args...)
		done <- err
	}()
	tick := time.NewTicker(sayAgain)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-tick.C:
			e.out.line("   still running after %.0f s: %s %s", time.Since(began).Seconds(), name, strings.Join(firstWords(args), " "))
		}
	}
}

// kubectl returns what it printed.
func (e *Environment) kubectl(ctx context.Context, args ...string) (string, error) {
	out, err := e.tool(ctx, nil, "kubectl", args...)
	return strings.TrimSpace(string(out)), err
}

// apply gives manifests to the API server.
func (e *Environment) apply(ctx context.Context, manifests []byte) error {
	_, err := e.tool(ctx, manifests, "kubectl", "apply", "-f", "-")
	return err
}

// query decodes what kubectl prints with -o json.
func (e *Environment) query(ctx context.Context, into any, args ...string) error {
	out, err := e.tool(ctx, nil, "kubectl", append(args, "-o", "json")...)
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
