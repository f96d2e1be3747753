package kind

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

// policyChange asks for another scope in the policy of orders and takes that back. Each time, both
// replicas must use the new policies within the bound, each by its own audit records.
func (e *Environment) policyChange(ctx context.Context) ([]string, error) {
	stricter := func(name, text string) string {
		if name == "orders.yaml" {
			return strings.ReplaceAll(text, "orders.read", "orders.admin")
		}
		return text
	}
	if err := e.givePolicies(ctx, stricter); err != nil {
		return nil, err
	}
	err := e.decideAll(ctx, "no_rule")
	// With any result, the cases after this one need the policies as shipped.
	if back := e.givePolicies(ctx, asShipped); back != nil {
		return nil, back
	}
	if err != nil {
		return []string{err.Error()}, nil
	}
	if err := e.decideAll(ctx, "rule_allowed"); err != nil {
		return []string{err.Error()}, nil
	}
	return nil, nil
}

// givePolicies replaces the ConfigMap by the shipped documents, each as change makes it.
func (e *Environment) givePolicies(ctx context.Context, change func(name, text string) string) error {
	names, err := filepath.Glob(e.shipped("manifests", "policies", "*.yaml"))
	if err != nil {
		return err
	}
	create := []string{"create", "configmap", "meshpass-policies", "-n", "meshpass"}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		changed := e.path(filepath.Base(name))
		if err := os.WriteFile(changed, []byte(change(filepath.Base(name), string(text))), 0o644); err != nil {
			return err
		}
		create = append(create, "--from-file="+changed)
	}
	return e.derived(ctx, create...)
}

// decideAll sends order until every replica's last decision about orders has that reason.
func (e *Environment) decideAll(ctx context.Context, reason string) error {
	pods, err := e.pods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return err
	}
	last := map[string]string{}
	sent := 0
	return e.await(ctx, "each replica to decide "+reason, volumeBound, func(ctx context.Context) (string, error) {
		sent++
		pod, decided, err := e.decision(ctx, fmt.Sprintf("decide.%s.%d.%d", reason, e.since.Unix(), sent))
		if err != nil {
			return "", err
		}
		last[pod] = decided
		return behind(pods, last, reason), nil
	})
}

// behind names the replicas whose last decision had another reason, or that made none.
func behind(pods []pod, last map[string]string, reason string) string {
	var names []string
	for _, p := range pods {
		if last[p.Metadata.Name] != reason {
			names = append(names, p.Metadata.Name)
		}
	}
	return strings.Join(names, ", ")
}

// decision sends order and returns the replica that decided it at orders, and the reason.
func (e *Environment) decision(ctx context.Context, id string) (pod, reason string, err error) {
	if _, err := e.Send(ctx, scenarios.Request{ID: id, Send: order}); err != nil {
		return "", "", err
	}
	lines, err := e.linesAbout(ctx, id, e.at.authorizers)
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
