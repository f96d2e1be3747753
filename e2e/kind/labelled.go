package kind

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"time"

	"github.com/meshpass/meshpass/e2e/scenarios"
)

//go:embed labelled.yaml
var labelledWorkload []byte

// accessLogBound is longer than Envoy keeps an access log in memory.
const accessLogBound = time.Minute

// testLabelledWorkload checks that a request to a workload with this value of the label is decided while the
// authorizer works. If a NetworkPolicy does not admit the pods of the workload, a closed provider answers
// 503, and an open one admits the request without a decision: then the access log has no decision_id.
func (e *Environment) testLabelledWorkload(label string) func(context.Context) ([]string, error) {
	return func(ctx context.Context) (problems []string, err error) {
		manifests, err := e.labelledManifests(label)
		if err != nil {
			return nil, err
		}
		if err := e.applyManifests(ctx, manifests); err != nil {
			return nil, err
		}
		defer func() {
			_, back := e.runTool(context.WithoutCancel(ctx), manifests, "kubectl", "delete", "--wait=false", "-f", "-")
			if err == nil {
				err = back
			}
		}()
		if err := e.awaitRollouts(ctx, "shop"); err != nil {
			return nil, err
		}
		id := fmt.Sprintf("asked.%s.%d", label, time.Now().UnixNano())
		answer, err := e.Send(ctx, scenarios.Request{ID: id, Send: scenarios.Send{From: "ns/shop/sa/inventory", To: label, Method: "GET", Path: "/tenants/acme/items/1001"}})
		if err != nil {
			return nil, err
		}
		var decided, logged []logLine
		if err := e.waitFor(ctx, "the access log of "+label, accessLogBound, func(ctx context.Context) (string, error) {
			if decided, err = e.linesAbout(ctx, id, e.current.authorizers); err != nil {
				return "", err
			}
			logged, err = e.linesAbout(ctx, id, source{"shop", "app=" + label, "istio-proxy"})
			if err == nil && len(logged) == 0 {
				return "no line about the request", nil
			}
			return "", err
		}); err != nil {
			return nil, err
		}
		return compareDecision(label, answer, decided, logged), nil
	}
}

// labelledManifests returns the workload, and for one with TCP ports the policies that manifests/istio/tcp has for orders.
func (e *Environment) labelledManifests(label string) ([]byte, error) {
	manifests := bytes.ReplaceAll(labelledWorkload, []byte("NAME"), []byte(label))
	if label != "tcp" {
		return manifests, nil
	}
	policies, err := os.ReadFile(e.repoFile("manifests", "istio", "tcp", "authorization-policy.yaml"))
	if err != nil {
		return nil, err
	}
	return append(append(manifests, "---\n"...), bytes.ReplaceAll(policies, []byte("orders"), []byte(label))...), nil
}

// compareDecision wants one decision, and its id in the access log. No document targets the workload, so
// the decision is a denial.
func compareDecision(label string, answer scenarios.Answer, decided, logged []logLine) (problems []string) {
	if answer.Status != 403 || answer.BodyField("reason") != "unguarded" {
		problems = append(problems, fmt.Sprintf("answered %d %s, want 403 unguarded", answer.Status, answer.BodyField("reason")))
	}
	if len(decided) != 1 || decided[0].FieldText("callee") != "ns/shop/sa/"+label {
		return append(problems, fmt.Sprintf("%d audit records: %v; want one of ns/shop/sa/%s", len(decided), decided, label))
	}
	for _, line := range logged {
		if line.FieldText("decision_id") != decided[0].FieldText("id") {
			problems = append(problems, fmt.Sprintf("the access log has decision_id %s, want %s", line.FieldText("decision_id"), decided[0].FieldText("id")))
		}
	}
	return problems
}
