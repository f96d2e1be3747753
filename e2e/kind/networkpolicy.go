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
var closed []byte // no peer may reach the identity provider

// errNotRun is the error of a case that this cluster cannot show.
var errNotRun = errors.New("NOT RUN")

const enforcing = 15 * time.Second // what a network plugin may take to notice a policy

// networkPolicy: only guarded workloads get a connection to the authorizer. A policy that
// closes the identity provider tells first whether this cluster enforces any.
func (e *Environment) networkPolicy(ctx context.Context) ([]string, error) {
	if err := e.apply(ctx, closed); err != nil {
		return nil, err
	}
	err := e.await(ctx, "the identity provider to be closed", enforcing, func(ctx context.Context) (string, error) {
		if _, connected := e.connects(ctx, issuerURL); connected {
			return "it still answers", nil
		}
		return "", nil
	})
	if _, back := e.tool(ctx, closed, "kubectl", "delete", "-f", "-"); back != nil {
		return nil, back
	}
	if err != nil && e.Addons != "" {
		return []string{"this cluster's network plugin does not enforce NetworkPolicy, with CLUSTER_ADDONS=" + e.Addons}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: this cluster's network plugin does not enforce NetworkPolicy: name one that does in CLUSTER_ADDONS", errNotRun)
	}
	pods, err := e.pods(ctx, "meshpass", "app=meshpass")
	if err != nil {
		return nil, err
	}
	for _, p := range pods {
		if answer, connected := e.connects(ctx, "http://"+p.Status.PodIP+":9000"); connected {
			return []string{fmt.Sprintf("%s took a connection from outside: %+v", p.Metadata.Name, answer)}, nil
		}
	}
	return nil, nil
}

// connects reports whether a client outside the mesh gets an answer or a closed connection. It is
// asked to the end: a sender that is interrupted would look like one without an answer.
func (e *Environment) connects(ctx context.Context, url string) (sender.Answer, bool) {
	var a sender.Answer
	err := e.inPod(context.WithoutCancel(ctx), client, "send", sender.Message{Method: "GET", URL: url + "/"}, &a)
	return a, err == nil
}
