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

// testWrongPlugin rolls out the plugin that `make plugin` built on this machine: the same source for the
// same release, but another build of it than the one in Tyk's image, so that gateway cannot load it.
func (e *Environment) testWrongPlugin(ctx context.Context) ([]string, error) {
	if err := e.buildWrongImage(ctx); err != nil {
		return nil, err
	}
	if _, err := e.kubectl(ctx, "set", "image", "-n", "edge", "deployment/tyk-gateway", "plugin="+wrongImage); err != nil {
		return nil, err
	}
	problems, err := e.checkRejectedPlugin(ctx)
	// Also after a failure: the next run needs the gateway.
	if _, back := e.kubectl(ctx, "rollout", "undo", "-n", "edge", "deployment/tyk-gateway"); back != nil {
		return problems, back
	}
	if back := e.awaitRollouts(ctx, "edge"); back != nil {
		return problems, back
	}
	return problems, err
}

func (e *Environment) buildWrongImage(ctx context.Context) error {
	name := "identity_" + TykVersion + "_linux_" + runtime.GOARCH + ".so"
	plugin, err := repo.Bin(filepath.Join("plugins", name), "plugin")
	if err != nil {
		return err
	}
	data, err := os.ReadFile(plugin)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.runFile("wrong"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(e.runFile("wrong", name), data, 0o644); err != nil {
		return err
	}
	dockerfile := fmt.Sprintf("FROM %s\nCOPY %s /plugins/\n", pluginImage, name)
	if _, err := e.runTool(ctx, []byte(dockerfile), "docker", "build", "-t", wrongImage, "-f", "-", e.runFile("wrong")); err != nil {
		return err
	}
	return e.loadImages(ctx, wrongImage)
}

// checkRejectedPlugin waits for a pod that reports why it does not start, and then sends a request to the old one.
func (e *Environment) checkRejectedPlugin(ctx context.Context) ([]string, error) {
	var state string
	err := e.waitFor(ctx, "the new gateway to reject its plugin", podsBound, func(ctx context.Context) (string, error) {
		pods, err := e.listPods(ctx, "edge", "app=tyk-gateway")
		for _, p := range pods {
			if state = p.describeState(); !p.isReady() && strings.Contains(state, "plugin-loads: ended with") {
				return "", err
			}
		}
		return "no pod reports that it cannot load its plugin", err
	})
	if err != nil {
		return []string{err.Error()}, nil
	}
	e.out.printLine("   kubectl reports: %s", strings.ReplaceAll(state, "\n", "\n     "))
	answer, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("wrong-plugin.%d", e.since.Unix()), Send: order})
	if err == nil && answer.Status != 200 {
		return []string{fmt.Sprintf("the old gateway answers %d", answer.Status)}, nil
	}
	return nil, err
}
