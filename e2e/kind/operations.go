package kind

import (
	"context"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

// operationTests are the tests that change the cluster while requests run.
func (e *Environment) operationTests() []test {
	return []test{
		{"operations/network-policy", "No client outside the mesh can connect to an authorizer", e.testNetworkPolicy},
		{"operations/open-workload", "While the authorizer works, requests to a workload of the open provider are decided", e.testLabelledWorkload("open")},
		{"operations/tcp-workload", "A request to a workload with TCP ports is decided", e.testLabelledWorkload("tcp")},
		{"operations/observed-workload", "A request to a workload that is only observed is decided", e.testLabelledWorkload("observe")},
		{"operations/doctor", "doctor checks the installation with the rights of its page, finds an unknown provider, and says what it may not check", e.testDoctor},
		{"operations/trace", "trace finds allowed and denied requests in all pods with the rights of its page, and says what it could not read", e.testTrace},
		{"operations/policy-change", "Both replicas use a changed policy ConfigMap without a restart", e.testPolicyChange},
		{"operations/broken-policy", "Both replicas reject an invalid policy, and the last good one decides", e.testBrokenPolicy},
		{"operations/key-rotation", "A new signing key arrives by its Secret, and no request fails", e.testKeyRotation},
		{"operations/rolling-restart", "Both authorizers are replaced under load, and no request is lost", e.testRollingRestart},
		{"operations/replica-killed", "An authorizer is killed under load: at worst some 503, and soon every request is answered", e.testKilledReplica},
		{"operations/break-glass-override", "Break glass: an override lifts the policies of a workload, and ends", e.testLiftedPolicies},
		{"operations/break-glass-open", "Break glass: without authorizers, an open workload gets requests with a valid token, and no others", e.testPassWithoutAnswer},
		{"operations/break-glass-out", "Break glass: without the policy every request passes, and with it they are decided again", e.testTakenOut},
		{"operations/wrong-plugin", "A plugin of another build stops the rollout with its reason, and the old pod keeps serving", e.testWrongPlugin},
	}
}

func (e *Environment) testRollingRestart(ctx context.Context) ([]string, error) {
	began := time.Now()
	tally, err := e.changeUnderLoad(ctx, 60*time.Second, func(ctx context.Context) error {
		if err := e.restartDeployments(ctx, "meshpass"); err != nil {
			return err
		}
		return e.awaitRollouts(ctx, "meshpass")
	})
	if err != nil {
		return nil, err
	}
	e.out.printLine("   %d requests", tally.Sent())
	return e.describeLostInChange(ctx, tally, began)
}

// testKilledReplica kills one replica. Envoy does not ask twice, so requests that the dead process was deciding
// are denied with 503, and so are requests that reach its sidecar until all Envoys know. No request is admitted
// without a decision.
func (e *Environment) testKilledReplica(ctx context.Context) ([]string, error) {
	tally, err := e.changeUnderLoad(ctx, 40*time.Second, e.killReplica)
	if err != nil {
		return nil, err
	}
	e.out.printLine("   %d requests: %v; in the last quarter: %v", tally.Sent(), tally.All, tally.Tail)
	return describeOutage(tally), nil
}

// killReplica kills one authorizer, and waits until it is ready again.
func (e *Environment) killReplica(ctx context.Context) error {
	before, _, err := e.countRestarts(ctx)
	if err != nil {
		return err
	}
	// The image has no shell, but the node is a container. The oldest process is one of the two.
	if _, err := e.runTool(ctx, nil, "docker", "exec", clusterName+"-control-plane", "pkill", "-KILL", "-o", "-f", "^/usr/local/bin/meshpass serve"); err != nil {
		return err
	}
	return e.waitFor(ctx, "the killed replica", podsBound, func(ctx context.Context) (string, error) {
		now, missing, err := e.countRestarts(ctx)
		if missing == "" && now == before {
			missing = "no replica has ended yet"
		}
		return missing, err
	})
}

// countRestarts counts how often the authorizers' containers were restarted, and names a replica that is not
// ready.
func (e *Environment) countRestarts(ctx context.Context) (count int, missing string, err error) {
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	for _, p := range pods {
		if !p.isReady() {
			missing = p.Metadata.Name + ": " + p.describeState()
		}
		for _, c := range p.Status.ContainerStatuses {
			count += c.RestartCount
		}
	}
	return count, missing, err
}

func describeOutage(t sender.Tally) []string {
	var problems []string
	if other := t.Lost() - t.All["503"]; other > 0 {
		problems = append(problems, fmt.Sprintf("answers other than 200 and 503: %v", t.All))
	}
	if t.Tail["200"] == 0 || len(t.Tail) != 1 {
		problems = append(problems, fmt.Sprintf("still other answers than 200 at the end: %v", t.Tail))
	}
	return problems
}
