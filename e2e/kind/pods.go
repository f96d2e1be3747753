package kind

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const podsBound = 5 * time.Minute

// pod is the part of a Pod with its state.
type pod struct {
	Metadata struct {
		Name, Namespace   string
		DeletionTimestamp *time.Time
		Labels            map[string]string
	}
	Status struct {
		Phase, PodIP          string
		Conditions            []struct{ Type, Status, Message string }
		InitContainerStatuses []containerStatus
		ContainerStatuses     []containerStatus
	}
}

type containerStatus struct {
	Name         string
	Ready        bool
	RestartCount int
	State        containerState
	LastState    containerState
}

type containerState struct {
	Waiting    *reason
	Terminated *reason
}

type reason struct {
	Reason, Message string
	ExitCode        int
}

// pods lists those of a namespace that are not on their way out.
func (e *Environment) pods(ctx context.Context, namespace, selector string) ([]pod, error) {
	var list struct{ Items []pod }
	args := []string{"get", "pods", "-n", namespace}
	if selector != "" {
		args = append(args, "-l", selector)
	}
	err := e.query(ctx, &list, args...)
	var staying []pod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == nil {
			staying = append(staying, p)
		}
	}
	return staying, err
}

func (p pod) ready() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// why returns what a pod that is not ready waits for, in Kubernetes' words and its containers' own.
func (p pod) why() string {
	var all []string
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if text := c.why(); text != "" {
			all = append(all, c.Name+": "+text)
		}
	}
	if len(all) == 0 {
		for _, c := range p.Status.Conditions {
			if c.Status != "True" && c.Message != "" {
				return c.Message
			}
		}
		return p.Status.Phase
	}
	return strings.Join(all, "; ")
}

func (c containerStatus) why() string {
	for _, state := range []containerState{c.State, c.LastState} {
		if t := state.Terminated; t != nil && t.ExitCode != 0 {
			return fmt.Sprintf("ended with %d %s", t.ExitCode, strings.TrimSpace(t.Message))
		}
	}
	// PodInitializing only means that another container has not ended yet.
	if w := c.State.Waiting; w != nil && w.Reason != "PodInitializing" {
		return strings.TrimSpace(w.Reason + " " + w.Message)
	}
	return ""
}

// deployment is the part of a Deployment with the progress of a rollout.
type deployment struct {
	Metadata struct {
		Name       string
		Generation int
	}
	Spec   struct{ Replicas int }
	Status struct{ ObservedGeneration, UpdatedReplicas, ReadyReplicas, AvailableReplicas, Replicas int }
}

func (d deployment) rolledOut() bool {
	s := d.Status
	return s.ObservedGeneration >= d.Metadata.Generation && s.UpdatedReplicas == d.Spec.Replicas &&
		s.AvailableReplicas == d.Spec.Replicas && s.Replicas == d.Spec.Replicas
}

// rollouts waits until every Deployment of the namespaces runs as it is written.
func (e *Environment) rollouts(ctx context.Context, namespaces ...string) error {
	for _, namespace := range namespaces {
		err := e.await(ctx, "the pods in "+namespace, podsBound, func(ctx context.Context) (string, error) {
			return e.unfinished(ctx, namespace)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Environment) unfinished(ctx context.Context, namespace string) (string, error) {
	var list struct{ Items []deployment }
	if err := e.query(ctx, &list, "get", "deployments", "-n", namespace); err != nil {
		return "", err
	}
	var names []string
	for _, d := range list.Items {
		if !d.rolledOut() {
			names = append(names, fmt.Sprintf("%s %d/%d", d.Metadata.Name, d.Status.AvailableReplicas, d.Spec.Replicas))
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return strings.TrimSpace(strings.Join(names, ", ") + "\n" + e.explain(ctx, namespace)), nil
}

// explain tells of each pod that is not ready what it waits for; it is for people, so what cannot be
// read is left out.
func (e *Environment) explain(ctx context.Context, namespace string) string {
	pods, err := e.pods(ctx, namespace, "")
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, p := range pods {
		if !p.ready() {
			lines = append(lines, fmt.Sprintf("     %s: %s", p.Metadata.Name, p.why()))
		}
	}
	return strings.Join(lines, "\n")
}
