package kind

import (
	"context"
	"fmt"

	"github.com/meshpass/meshpass/e2e/kind/sender"
)

// gateway is one Tyk.
type gateway struct {
	name      string // in cases
	namespace string
	home      string // folder of its keys, in the run's
	plugin    string // its plugin's configuration, in the repository
	jwks      string // the file of meshpass-jwks with its published keys
}

var east = gateway{name: "tyk-gateway", namespace: "edge", plugin: "manifests/overlays/dev/plugin.yaml", jwks: "jwks.json"}

func (g gateway) url() string {
	return "http://tyk-gateway." + g.namespace + ".svc.cluster.local:8080"
}

func (g gateway) logs() source { return source{g.namespace, "app=tyk-gateway", "tyk-gateway"} }

// answersInARow is how many requests a Service answers one after the other before a case is played. After a rollout, nodes may
// send connections to the address of a pod that has ended, which refuses them.
const answersInARow = 5

// awaitGateways waits until the Service of each gateway answers.
func (e *Environment) awaitGateways(ctx context.Context) error {
	for _, g := range e.current.gateways {
		err := e.waitFor(ctx, "the Service of "+g.name+" in "+g.namespace, podsBound, func(ctx context.Context) (string, error) {
			return findUnanswered(answersInARow, func() (sender.Answer, error) {
				var answer sender.Answer
				err := e.runInPod(ctx, client, "send", sender.Message{Method: "GET", URL: g.url() + "/"}, &answer)
				return answer, err
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// findUnanswered sends n requests, and returns the first one that the gateway does not answer itself; "": it answers all of them.
// Any status below 500 is an answer of a gateway that works.
func findUnanswered(n int, send func() (sender.Answer, error)) (string, error) {
	for i := range n {
		answer, err := send()
		switch {
		case err != nil:
			return "", fmt.Errorf("request %d of %d: %w", i+1, n, err)
		case answer.Closed:
			return fmt.Sprintf("request %d of %d: the connection was closed", i+1, n), nil
		case answer.Status >= 500:
			return fmt.Sprintf("request %d of %d: status %d", i+1, n, answer.Status), nil
		}
	}
	return "", nil
}
