package kind

import (
	"context"
	"fmt"
	"strings"
	"time"
)

const podsBound = 5 * time.Minute

// pod is the part of a Pod that describes its state.
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

// listPods lists the pods of a namespace that are not being deleted.
func (e *Environment) listPods(ctx context.Context, namespace, selector string) ([]pod, error) {
	var list struct{ Items []pod }
	args := []string{"get", "pods", "-n", namespace}
	if selector != "" {
		args = append(args, "-l", selector)
	}
	err := e.queryObjects(ctx, &list, args...)
	var staying []pod
	for _, p := range list.Items {
		if p.Metadata.DeletionTimestamp == nil {
			staying = append(staying, p)
		}
	}
	return staying, err
}

func (p pod) isReady() bool {
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True"
		}
	}
	return false
}

// describeState describes what a pod that is not ready waits for, in the words of Kubernetes and of its
// containers.
func (p pod) describeState() string {
	var all []string
	for _, c := range append(p.Status.InitContainerStatuses, p.Status.ContainerStatuses...) {
		if text := c.describeState(); text != "" {
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

func (c containerStatus) describeState() string {
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

// deployment is the part of a Deployment that describes its rollout.
type deployment struct {
	Metadata struct {
		Name       string
		Generation int
	}
	Spec   struct{ Replicas int }
	Status struct{ ObservedGeneration, UpdatedReplicas, ReadyReplicas, AvailableReplicas, Replicas int }
}

func (d deployment) isRolledOut() bool {
	s := d.Status
	return s.ObservedGeneration >= d.Metadata.Generation && s.UpdatedReplicas == d.Spec.Replicas &&
		s.AvailableReplicas == d.Spec.Replicas && s.Replicas == d.Spec.Replicas
}

// awaitRollouts waits until the rollout of every Deployment of the namespaces is complete.
func (e *Environment) awaitRollouts(ctx context.Context, namespaces ...string) error {
	for _, namespace := range namespaces {
		err := e.waitFor(ctx, "the pods in "+namespace, podsBound, func(ctx context.Context) (string, error) {
			return e.listUnfinished(ctx, namespace)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *Environment) listUnfinished(ctx context.Context, namespace string) (string, error) {
	var list struct{ Items []deployment }
	if err := e.queryObjects(ctx, &list, "get", "deployments", "-n", namespace); err != nil {
		return "", err
	}
	var names []string
	for _, d := range list.Items {
		if !d.isRolledOut() {
			names = append(names, fmt.Sprintf("%s %d/%d", d.Metadata.Name, d.Status.AvailableReplicas, d.Spec.Replicas))
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return strings.TrimSpace(strings.Join(names, ", ") + "\n" + e.describePods(ctx, namespace)), nil
}

// describePods describes what each pod that is not ready waits for. Pods that cannot be read are left out.
func (e *Environment) describePods(ctx context.Context, namespace string) string {
	pods, err := e.listPods(ctx, namespace, "")
	if err != nil {
		return err.Error()
	}
	var lines []string
	for _, p := range pods {
		if !p.isReady() {
			lines = append(lines, fmt.Sprintf("     %s: %s", p.Metadata.Name, p.describeState()))
		}
	}
	return strings.Join(lines, "\n")
}
