package soak

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/meshpass/meshpass/e2e/repo"
)

// runMeshpass runs the program meshpass, as an operator does, and returns its output.
func runMeshpass(ctx context.Context, args ...string) ([]byte, error) {
	program, err := repo.Bin("meshpass", "meshpass")
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program, args...)
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("meshpass %s: %w: %s", strings.Join(args[:2], " "), err, &stderr)
	}
	return stdout.Bytes(), nil
}
