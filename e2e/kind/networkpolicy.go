package kind

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

//go:embed closed.yaml
var closedProvider []byte // no client may reach the identity provider

// errNotRun is the error of a test that this cluster cannot run.
var errNotRun = errors.New("NOT RUN")

const enforcementBound = 15 * time.Second // how long a network plugin may take to enforce a policy

// testNetworkPolicy checks that only guarded workloads get a connection to the authorizer. First a policy that
// closes the identity provider shows whether this cluster enforces policies.
func (e *Environment) testNetworkPolicy(ctx context.Context) ([]string, error) {
	if err := e.applyManifests(ctx, closedProvider); err != nil {
		return nil, err
	}
	err := e.waitFor(ctx, "the identity provider to be closed", enforcementBound, func(ctx context.Context) (string, error) {
		if _, connected := e.canConnect(ctx, issuerURL); connected {
			return "it still answers", nil
		}
		return "", nil
	})
	if _, back := e.runTool(ctx, closedProvider, "kubectl", "delete", "-f", "-"); back != nil {
		return nil, back
	}
	if err != nil && e.Addons != "" {
		return []string{"this cluster's network plugin does not enforce NetworkPolicy, with CLUSTER_ADDONS=" + e.Addons}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this cluster's network plugin does not enforce NetworkPolicy: set CLUSTER_ADDONS to one that does", errNotRun)
	}
	pods, err := e.listPods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if answer, connected := e.canConnect(ctx, "http://"+p.Status.PodIP+":9000"); connected {
			return []string{fmt.Sprintf("%s took a connection from outside: %+v", p.Metadata.Name, answer)}, nil
		}
	}
	return nil, nil
}

// canConnect reports whether a client outside the mesh gets a connection: an answer, or a connection that the
// peer closes. The request is not interrupted, because that would look like a missing answer.
func (e *Environment) canConnect(ctx context.Context, url string) (sender.Answer, bool) {
	var a sender.Answer
	err := e.runInPod(context.WithoutCancel(ctx), client, "send", sender.Message{Method: "GET", URL: url + "/"}, &a)
	return a, err == nil
}
