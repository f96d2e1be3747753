package kind

import (
	"context"
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

const rejectedChange = "replace it is rejected" // as in the output of /readyz

// testBrokenPolicy applies a document that cannot be loaded. Both replicas must report it and decide as before.
func (e *Environment) testBrokenPolicy(ctx context.Context) ([]string, error) {
	broken := func(name, text string) string {
		if name == "orders.yaml" {
			return strings.ReplaceAll(text, "rules:", "rulez:")
		}
		return text
	}
	if err := e.applyPolicies(ctx, broken); err != nil {
		return nil, err
	}
	problems := e.checkLastGoodPolicies(ctx)
	if err := e.applyPolicies(ctx, asShipped); err != nil {
		return problems, err
	}
	return problems, e.awaitHealth(ctx, "the fixed policies", func(output string) bool { return !strings.Contains(output, rejectedChange) })
}

func asShipped(_, text string) string { return text }

func (e *Environment) checkLastGoodPolicies(ctx context.Context) []string {
	err := e.awaitHealth(ctx, "each replica to reject the change", func(output string) bool { return strings.Contains(output, rejectedChange) })
	if err != nil {
		return []string{err.Error()}
	}
	answer, err := e.Send(ctx, scenarios.Request{ID: fmt.Sprintf("broken-policy.%d", e.since.Unix()), Send: order})
	if err != nil {
		return []string{err.Error()}
	}
	if answer.Status != 200 {
		return []string{fmt.Sprintf("with the last good policies: got %d, want 200", answer.Status)}
	}
	return nil
}

// awaitHealth waits until the output of `meshpass health` is as wanted in every replica.
func (e *Environment) awaitHealth(ctx context.Context, what string, wanted func(output string) bool) error {
	return e.waitFor(ctx, what, volumeBound, func(ctx context.Context) (string, error) {
		pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
		for _, p := range pods {
			output, err := e.kubectl(ctx, "exec", "-n", "meshpass", p.Metadata.Name, "-c", "meshpass", "--", "/usr/local/bin/meshpass", "health")
			if err != nil || !wanted(output) {
				return p.Metadata.Name, err
			}
		}
		return "", err
	})
}
