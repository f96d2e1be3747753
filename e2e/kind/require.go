package kind

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// requirement is a program that must be installed, and how to read its version.
type requirement struct {
	program string
	version []string
	missing string // advice for the user
	wanted  string // prefix of the version; empty: any
}

var requirements = []requirement{
	{
		program: "docker", version: []string{"version", "--format", "{{.Server.Version}}"},
		missing: "no Docker engine answers: install and start one, https://docs.docker.com/engine/install/",
	},
	{program: "kind", version: []string{"version"}, missing: "install it: https://kind.sigs.k8s.io/docs/user/quick-start/#installation"},
	{program: "kubectl", version: []string{"version", "--client"}, missing: "install it: https://kubernetes.io/docs/tasks/tools/"},
	{program: "istioctl", version: []string{"version", "--remote=false", "-o", "json"}, missing: "install it: https://istio.io/latest/docs/setup/additional-setup/download-istio-release/", wanted: IstioVersion},
}

// Require checks all programs and lists their versions; the error names every one that is missing.
func (e *Environment) Require(ctx context.Context) error {
	var missing []error
	for _, r := range requirements {
		version, err := r.readVersion(ctx)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		e.out.printLine("   %-9s %s", r.program, version)
	}
	return errors.Join(missing...)
}

func (r requirement) readVersion(ctx context.Context) (string, error) {
	path, err := exec.LookPath(r.program)
	if err != nil {
		return "", fmt.Errorf("%s is not on PATH: %s", r.program, r.missing)
	}
	out, err := exec.CommandContext(ctx, path, r.version...).Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", r.program, strings.Join(r.version, " "), err, r.missing)
	}
	version := parseVersion(out)
	if !strings.HasPrefix(version, r.wanted) {
		return "", fmt.Errorf("%s is %s and not %s: %s", r.program, version, r.wanted, r.missing)
	}
	return version, nil
}

// parseVersion returns the version in the JSON output of istioctl, or the first line of other outputs.
func parseVersion(out []byte) string {
	var istioctl struct {
		ClientVersion struct{ Version string } `json:"clientVersion"`
	}
	if json.Unmarshal(out, &istioctl) == nil && istioctl.ClientVersion.Version != "" {
		return istioctl.ClientVersion.Version
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}
