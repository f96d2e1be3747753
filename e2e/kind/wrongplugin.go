package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/meshpass/meshpass/e2e/repo"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

const wrongImage = "meshpass/tyk-plugin:wrong"

// wrongPlugin rolls out the plugin that `make plugin` built on this machine: the same source for the
// same release, but another build of it than the one in Tyk's image, so that gateway cannot load it.
func (e *Environment) wrongPlugin(ctx context.Context) ([]string, error) {
	if err := e.buildWrong(ctx); err != nil {
		return nil, err
	}
	if _, err := e.kubectl(ctx, "set", "image", "-n", "edge", "deployment/tyk-gateway", "plugin="+wrongImage); err != nil {
		return nil, err
	}
	problems, err := e.refusesPlugin(ctx)
	// The cases of the next run need the gateway back, with any result of this one.
	if _, back := e.kubectl(ctx, "rollout", "undo", "-n", "edge", "deployment/tyk-gateway"); back != nil {
		return problems, back
	}
	if back := e.rollouts(ctx, "edge"); back != nil {
		return problems, back
	}
	return problems, err
}

func (e *Environment) buildWrong(ctx context.Context) error {
	name := "identity_" + TykVersion + "_linux_" + runtime.GOARCH + ".so"
	plugin, err := repo.Bin(filepath.Join("plugins", name), "plugin")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(plugin)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.path("wrong"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(e.path("wrong", name), data, 0o644); err != nil {
		return err
	}
	dockerfile := fmt.Sprintf("FROM %s\nCOPY %s /plugins/\n", pluginImage, name)
	if _, err := e.tool(ctx, []byte(dockerfile), "docker", "build", "-t", wrongImage, "-f", "-", e.path("wrong")); err != nil {
		return err
	}
	return e.give(ctx, wrongImage)
}

// refusesPlugin waits for a pod that reports why it does not start, and then asks the old one.
func (e *Environment) refusesPlugin(ctx context.Context) ([]string, error) {
	var said string
	err := e.await(ctx, "the new gateway to refuse", podsBound, func(ctx context.Context) (string, error) {
		pods, err := e.pods(ctx, "edge", "app=tyk-gateway")
		for _, p := range pods {
			if said = p.why(); !p.ready() && strings.Contains(said, "plugin-loads: ended with") {
				return "", err
			}
		}
		return "no pod says that it cannot load its plugin", err
	})
	if err != nil {
		return []string{err.Error()}, nil
	}
	e.out.line("   kubectl says: %s", strings.ReplaceAll(said, "\n", "\n     "))
	answer, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("wrong-plugin.%d", e.since.Unix()), Send: order})
	if err == nil && answer.Status != 200 {
		return []string{fmt.Sprintf("the old gateway answers %d", answer.Status)}, nil
	}
	return nil, err
}
