package kind

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/internal/pagetest"
)

// ranMeshpass is the end of a command of bin/meshpass whose exit code is part of its answer.
type ranMeshpass struct {
	code           int
	stdout, stderr string
}

// decode reads the answer of -o json.
func (r ranMeshpass) decode(into any) error { return json.Unmarshal([]byte(r.stdout), into) }

// runMeshpassAs runs a command with the rights of a kubeconfig. It is an error only if the program cannot run.
func (e *Environment) runMeshpassAs(ctx context.Context, kubeconfig, command string, args ...string) (ranMeshpass, error) {
	program, err := repo.Bin("meshpass", "bin/meshpass")
	if err != nil {
		return ranMeshpass{}, err
	}
	cmd := exec.CommandContext(ctx, program, append([]string{command, "--context", "", "--kubeconfig", kubeconfig, "-o", "json"}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	stdout, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return ranMeshpass{}, err
	}
	return ranMeshpass{code: cmd.ProcessState.ExitCode(), stdout: string(stdout), stderr: stderr.String()}, nil
}

// grantRights takes the steps of a page's section "Rights", which give rights to an account in the namespace meshpass, and returns a
// kubeconfig that has no others.
func (e *Environment) grantRights(ctx context.Context, page, account string) (kubeconfig string, err error) {
	steps, err := pagetest.ReadSteps(e.repoFile(page))
	if err != nil {
		return "", err
	}
	for _, step := range steps {
		if step.Section != "Rights" {
			continue
		}
		if step.File != "" {
			_, err = e.runTool(ctx, []byte(step.Text), "kubectl", "apply", "-f", "-")
		} else {
			_, err = e.runTool(ctx, nil, "bash", "-uc", step.Command)
		}
		if err != nil && !strings.Contains(err.Error(), "AlreadyExists") && !strings.Contains(err.Error(), "already exists") {
			return "", err
		}
	}
	return e.writeKubeconfig(ctx, "meshpass", account)
}

// writeKubeconfig writes a kubeconfig that has the rights of a service account, and no others.
func (e *Environment) writeKubeconfig(ctx context.Context, namespace, account string) (file string, err error) {
	token, err := e.kubectl(ctx, "-n", namespace, "create", "token", account)
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile(e.runFile("kubeconfig"))
	if err != nil {
		return "", err
	}
	file = e.runFile(account + ".kubeconfig")
	if err := os.WriteFile(file, own, 0o600); err != nil {
		return "", err
	}
	if _, err := e.kubectl(ctx, "config", "--kubeconfig", file, "set-credentials", account, "--token="+token); err != nil {
		return "", err
	}
	_, err = e.kubectl(ctx, "config", "--kubeconfig", file, "set-context", "--current", "--user="+account)
	return file, err
}
