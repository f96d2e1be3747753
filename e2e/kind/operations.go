package kind

import (
	"context"
	"fmt"
	"time"

	"github.com/meshpass/meshpass/e2e/kind/sender"
	"github.com/meshpass/meshpass/e2e/scenarios"
)

// volumeBound is how long a changed Secret or ConfigMap may take into a pod, with a margin.
const volumeBound = 3 * time.Minute

// operations are the cases that change the cluster under the requests.
func (e *Environment) operations() []test {
	return []test{
		{"operations/network-policy", "Outside the mesh nobody even connects to an authorizer", e.networkPolicy},
		{"operations/open-workload", "While the authorizer is well, requests to a workload of the open provider are decided", e.asked("open")},
		{"operations/tcp-workload", "A request to a workload with TCP ports is decided", e.asked("tcp")},
		{"operations/observed-workload", "A request to a workload that is only observed is decided", e.asked("observe")},
		{"operations/policy-change", "A changed policy ConfigMap decides at both replicas, without a restart", e.policyChange},
		{"operations/broken-policy", "A policy that cannot be used is refused by both replicas, and the last good one decides", e.brokenPolicy},
		{"operations/key-rotation", "A new signing key arrives by its Secret, and no request notices", e.keyRotation},
		{"operations/rolling-restart", "Both authorizers are replaced under load, and no request is lost", e.rollingRestart},
		{"operations/replica-killed", "An authorizer is killed under load: at worst some 503, and soon all is well", e.replicaKilled},
		{"operations/wrong-plugin", "A plugin of another build stops the rollout, says why, and the old pod serves on", e.wrongPlugin},
	}
}

// order is the request that both hops decide upon.
var order = scenarios.Send{To: "gateway", Method: "GET", Path: "/jwt/tenants/acme/orders/1001", As: "alice"}

// load sends order from outside the mesh for so long. Its pace leaves the cluster room for what it
// is to do meanwhile.
func (e *Environment) load(ctx context.Context, length time.Duration) (sender.Tally, error) {
	credential, err := e.authorization(ctx, order.As)
	if err != nil {
		return sender.Tally{}, err
	}
	l := sender.Load{Workers: 4, Pause: 200 * time.Millisecond, For: length}
	l.Message = sender.Message{Method: order.Method, URL: east.url() + order.Path, Header: map[string][]string{"Authorization": {credential}}}
	var t sender.Tally
	err = e.inPod(ctx, client, "load", l, &t)
	return t, err
}

// under sends order for so long while change happens, and returns what came of the requests.
func (e *Environment) under(ctx context.Context, length time.Duration, change func(context.Context) error) (sender.Tally, error) {
	if _, err := e.authorization(ctx, order.As); err != nil { // before anything else runs beside it
		return sender.Tally{}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changed := make(chan error, 1)
	go func() {
		err := change(ctx)
		changed <- err // first, so that the reason is there when the load is cut short
		if err != nil {
			cancel()
		}
	}()
	tally, err := e.load(ctx, length)
	select {
	case problem := <-changed:
		if problem != nil {
			err = problem
		}
	default:
		if err == nil {
			err = fmt.Errorf("the change took longer than the %v of load", length)
		}
	}
	return tally, err
}

// lost lists what is wrong with a load of which every request must be answered with 200.
func lost(t sender.Tally) []string {
	if t.Sent() == 0 {
		return []string{"nothing was sent"}
	}
	if n := t.Lost(); n > 0 {
		return []string{fmt.Sprintf("%d of %d requests were not answered with 200: %v", n, t.Sent(), t.All)}
	}
	return nil
}

func (e *Environment) rollingRestart(ctx context.Context) ([]string, error) {
	tally, err := e.under(ctx, 60*time.Second, func(ctx context.Context) error {
		if err := e.restart(ctx, "meshpass"); err != nil {
			return err
		}
		return e.rollouts(ctx, "meshpass")
	})
	e.out.line("   %d requests", tally.Sent())
	return lost(tally), err
}

// replicaKilled: Envoy does not ask twice, so what the dead process was deciding upon is refused with
// 503, as is what reaches its sidecar until everyone has heard. Nothing is let in unchecked.
func (e *Environment) replicaKilled(ctx context.Context) ([]string, error) {
	before, _, err := e.restarts(ctx)
	if err != nil {
		return nil, err
	}
	tally, err := e.under(ctx, 40*time.Second, func(ctx context.Context) error {
		// The image has no shell to kill with, but the node is a container. The oldest is one of the two.
		_, err := e.tool(ctx, nil, "docker", "exec", clusterName+"-control-plane", "pkill", "-KILL", "-o", "-f", "^/usr/local/bin/meshpass serve")
		if err != nil {
			return err
		}
		return e.await(ctx, "the killed replica", podsBound, func(ctx context.Context) (string, error) {
			now, missing, err := e.restarts(ctx)
			if missing == "" && now == before {
				missing = "no replica has ended yet"
			}
			return missing, err
		})
	})
	if err != nil {
		return nil, err
	}
	e.out.line("   %d requests: %v; in the last quarter: %v", tally.Sent(), tally.All, tally.Tail)
	return killed(tally), nil
}

// restarts counts how often the authorizers' containers were started again, and tells which replica is
// not ready.
func (e *Environment) restarts(ctx context.Context) (count int, missing string, err error) {
	pods, err := e.pods(ctx, "meshpass", "app=meshpass")
	for _, p := range pods {
		if !p.ready() {
			missing = p.Metadata.Name + ": " + p.why()
		}
		for _, c := range p.Status.ContainerStatuses {
			count += c.RestartCount
		}
	}
	return count, missing, err
}

func killed(t sender.Tally) []string {
	var problems []string
	if other := t.Lost() - t.All["503"]; other > 0 {
		problems = append(problems, fmt.Sprintf("answers other than 200 and 503: %v", t.All))
	}
	if t.Tail["200"] == 0 || len(t.Tail) != 1 {
		problems = append(problems, fmt.Sprintf("not well again at the end: %v", t.Tail))
	}
	return problems
}
