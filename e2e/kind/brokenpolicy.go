package kind

import (
	"context"
	"fmt"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

const refusal = "replace it is rejected" // as /readyz reports it

// brokenPolicy gives a document that cannot be used. Both replicas must say so and decide as before.
func (e *Environment) brokenPolicy(ctx context.Context) ([]string, error) {
	broken := func(name, text string) string {
		if name == "orders.yaml" {
			return strings.ReplaceAll(text, "rules:", "rulez:")
		}
		return text
	}
	if err := e.givePolicies(ctx, broken); err != nil {
		return nil, err
	}
	problems := e.goesOn(ctx)
	if err := e.givePolicies(ctx, asShipped); err != nil {
		return problems, err
	}
	return problems, e.health(ctx, "the fixed policies", func(said string) bool { return !strings.Contains(said, refusal) })
}

func asShipped(_, text string) string { return text }

func (e *Environment) goesOn(ctx context.Context) []string {
	err := e.health(ctx, "each replica to refuse the change", func(said string) bool { return strings.Contains(said, refusal) })
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

// health waits until every replica's own `meshpass health` is as wanted.
func (e *Environment) health(ctx context.Context, what string, wanted func(said string) bool) error {
	return e.await(ctx, what, volumeBound, func(ctx context.Context) (string, error) {
		pods, err := e.pods(ctx, "meshpass", "app=meshpass")
		for _, p := range pods {
			said, err := e.kubectl(ctx, "exec", "-n", "meshpass", p.Metadata.Name, "-c", "meshpass", "--", "/usr/local/bin/meshpass", "health")
			if err != nil || !wanted(said) {
				return p.Metadata.Name, err
			}
		}
		return "", err
	})
}
