package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// testPolicyChange requires another scope in the policy of orders, and restores the policy. Each time, both
// replicas must use the new policies within the bound, each by its own audit records.
func (e *Environment) testPolicyChange(ctx context.Context) ([]string, error) {
	stricter := func(name, text string) string {
		if name == "orders.yaml" {
			return strings.ReplaceAll(text, "orders.read", "orders.admin")
		}
		return text
	}
	if err := e.applyPolicies(ctx, stricter); err != nil {
		return nil, err
	}
	err := e.awaitDecisions(ctx, "no_rule")
	// Also after a failure: the next tests need the policies as shipped.
	if back := e.applyPolicies(ctx, asShipped); back != nil {
		return nil, back
	}
	if err != nil {
		return []string{err.Error()}, nil
	}
	if err := e.awaitDecisions(ctx, "rule_allowed"); err != nil {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

// applyPolicies replaces the ConfigMap by the shipped documents, each as change makes it.
func (e *Environment) applyPolicies(ctx context.Context, change func(name, text string) string) error {
	names, err := filepath.Glob(e.repoFile("manifests", "policies", "*.yaml"))
	if err != nil {
		return err
	}
	create := []string{"create", "configmap", "meshpass-policies", "-n", "meshpass"}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		changed := e.runFile(filepath.Base(name))
		if err := os.WriteFile(changed, []byte(change(filepath.Base(name), string(text))), 0o644); err != nil {
			return err
		}
		create = append(create, "--from-file="+changed)
	}
	return e.applyCreated(ctx, create...)
}

// awaitDecisions sends order until every replica's last decision about orders has that reason.
func (e *Environment) awaitDecisions(ctx context.Context, reason string) error {
	return e.awaitReasons(ctx, order, reason)
}

// awaitReasons is [Environment.awaitDecisions] for any request that reaches orders' Envoy.
func (e *Environment) awaitReasons(ctx context.Context, send scenarios.Send, reason string) error {
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return err
	}
	last := map[string]string{}
	return e.waitFor(ctx, "each replica to decide "+reason, volumeBound, func(ctx context.Context) (string, error) {
		pod, decided, err := e.sendAndReadDecision(ctx, send, fmt.Sprintf("decide.%s.%d", reason, time.Now().UnixNano()))
		if err != nil {
			return "", err
		}
		last[pod] = decided
		return listBehind(pods, last, reason), nil
	})
}

// listBehind lists the replicas without a decision, or whose last decision has another reason.
func listBehind(pods []pod, last map[string]string, reason string) string {
	var names []string
	for _, p := range pods {
		if last[p.Metadata.Name] != reason {
			names = append(names, p.Metadata.Name)
		}
	}
	return strings.Join(names, ", ")
}

// sendAndReadDecision sends a request, and returns the replica that decided it at orders, and the reason.
func (e *Environment) sendAndReadDecision(ctx context.Context, send scenarios.Send, id string) (pod, reason string, err error) {
	if _, err := e.Send(ctx, scenarios.Request{ID: id, Send: send}); err != nil {
		return "", "", err
	}
	lines, err := e.linesAbout(ctx, id, e.current.authorizers)
	if err != nil {
		return "", "", err
	}
	for _, line := range lines {
		if line.FieldText("callee") == "ns/shop/sa/orders" {
			return line.pod, line.FieldText("reason"), nil
		}
	}
	return "", "", fmt.Errorf("no record of %s at orders yet", id)
}
